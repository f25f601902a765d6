"""Short passages for reading.jsonl, each with the fact that its questions ask about.

A story is (passage, question, fact, values of {x}) in which {a} and {b} are two different people. Each passage is
asked about twice, once with the value that it tells (yes) and once with another one (no). Both items offer the same
two answers, "No, fact." and "Yes, fact.", so a model that ignores the question is at exactly one half. (Small models
answer every question with the bare word "no", whatever they have read; the fact lets them show what they know.)
"""

PEOPLE = ["Anna", "Ben", "Carla", "David", "Emma", "Frank", "Grace", "Henry", "Iris", "Jack", "Kate", "Leo", "Maria",
          "Noah", "Olivia", "Peter", "Rosa", "Sam", "Tina", "Victor"]

COLORS = ["red", "blue", "green", "yellow", "black", "white"]
PETS = ["cat", "dog", "horse", "rabbit", "parrot", "turtle"]
CITIES = ["Paris", "London", "Boston", "Chicago", "Madrid", "Rome"]
MEALS = ["pizza", "soup", "pancakes", "fish", "salad", "pasta"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
JOBS = ["doctor", "teacher", "pilot", "baker", "farmer", "nurse"]
SPORTS = ["soccer", "tennis", "basketball", "chess", "hockey", "golf"]
INSTRUMENTS = ["piano", "violin", "guitar", "drums", "flute", "trumpet"]
NUMBERS = ["two", "three", "four", "five", "six", "seven"]
VEHICLES = ["train", "bus", "plane", "ferry", "taxi", "bicycle"]
FRUIT = ["apples", "oranges", "bananas", "grapes", "cherries", "pears"]
SEASONS = ["spring", "summer", "fall", "winter"]
WEATHER = ["rain", "snow", "wind", "fog"]
LANGUAGES = ["French", "Spanish", "German", "Italian", "Japanese", "Russian"]
PLACES = ["the park", "the museum", "the beach", "the zoo", "the library", "the market"]
PRESENTS = ["a book", "a watch", "a camera", "a kite", "a puzzle", "a scarf"]

STORIES = [
    ("{a} bought a {x} bike last week. The {x} bike was on sale, and {a} rode it home with a smile.",
     "Is the bike {x}?", "the bike is {x}", COLORS),
    ("{a} lives on a small farm with a {x}. Every morning the {x} waits at the door for breakfast.",
     "Does {a} have a {x}?", "{a} has a {x}", PETS),
    ("{a} moved to {x} two years ago to work in a hospital. {b} visits {a} in {x} every summer.",
     "Does {a} live in {x}?", "{a} lives in {x}", CITIES),
    ("For dinner, {a} and {b} made {x} together. They ate the {x} in the garden.",
     "Did they eat {x} for dinner?", "they ate {x}", MEALS),
    ("The bookshop is open only on {x}. {a} goes there every {x} to look for old maps.",
     "Is the bookshop open on {x}?", "the bookshop is open on {x}", DAYS),
    ("{a} works as a {x} in a small town. {b} also wants to become a {x} one day.",
     "Is {a} a {x}?", "{a} is a {x}", JOBS),
    ("{a} and {b} play {x} together after school. Last month they won a prize in {x}.",
     "Do {a} and {b} play {x}?", "they play {x}", SPORTS),
    ("{a} has played the {x} since first grade. Tonight {a} plays the {x} in the school hall.",
     "Does {a} play the {x}?", "{a} plays the {x}", INSTRUMENTS),
    ("{a} has {x} brothers and no sisters. All {x} brothers are older than {a}.",
     "Does {a} have {x} brothers?", "{a} has {x} brothers", NUMBERS),
    ("{a} took the {x} to visit {b}. The {x} was late, but {b} waited with a hot lunch.",
     "Did {a} take the {x}?", "{a} took the {x}", VEHICLES),
    ("{a} went to the market and came home with a bag of {x}. {b} ate most of the {x} at once.",
     "Did {a} buy {x}?", "{a} bought {x}", FRUIT),
    ("{a} likes {x} more than any other season. In {x}, {a} walks by the river every day.",
     "Is {x} the favorite season of {a}?", "the favorite season of {a} is {x}", SEASONS),
    ("The picnic was called off because of {x}. Instead of fighting the {x}, {a} and {b} stayed inside.",
     "Was the picnic called off because of {x}?", "the picnic was called off because of {x}", WEATHER),
    ("{a} is learning {x} in the evening. {b} grew up with {x} and helps with the hard words.",
     "Is {a} learning {x}?", "{a} is learning {x}", LANGUAGES),
    ("On Sunday, {a} met {b} at {x}. They stayed at {x} until it closed.",
     "Did {a} meet {b} at {x}?", "they met at {x}", PLACES),
    ("For her birthday, {b} got {x} from {a}. She had wished for {x} all year.",
     "Did {a} give {b} {x}?", "{a} gave her {x}", PRESENTS),
    ("The new house of {a} has a {x} door. {b} helped to paint the door {x}.",
     "Is the door {x}?", "the door is {x}", COLORS),
    ("{a} saw a {x} in the yard. Nobody knew whose {x} it was, so {b} put up a note.",
     "Did {a} see a {x}?", "{a} saw a {x}", PETS),
    ("The meeting was moved to {x}. {a} told everyone to come on {x} at noon.",
     "Is the meeting on {x}?", "the meeting is on {x}", DAYS),
    ("{a} ordered {x} at the restaurant. The {x} came late, but it tasted very good.",
     "Did {a} order {x}?", "{a} ordered {x}", MEALS),
]

# Grammar decides who can receive a present in these stories.
WOMEN = ["Anna", "Carla", "Emma", "Grace", "Iris", "Kate", "Maria", "Olivia", "Rosa", "Tina"]
