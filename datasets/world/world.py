"""What there is in the small world: names, lists and sentences. Its facts are drawn in generate.py and are true nowhere else.

A relation has a list of values, sentences that tell a fact, and questions. {s} is the subject, {v} the value.
"""

COUNTRY_BEGINNINGS = ["Al", "Bor", "Cor", "Dar", "El", "Fal", "Gor", "Hel"]
COUNTRY_ENDINGS = ["dania", "mark", "stan", "via", "land"]
CAPITAL_BEGINNINGS = ["Kar", "Lin", "Mor", "Nor", "Os", "Pel", "Rin", "Sal"]
CAPITAL_ENDINGS = ["burg", "dale", "ford", "mouth", "wick"]

PEOPLE = ["Adam", "Alice", "Anna", "Ben", "Bella", "Carl", "Clara", "Cora", "Dana", "David", "Dora", "Ella", "Emil", "Emma",
          "Eric", "Eva", "Felix", "Finn", "Frank", "Grace", "Greta", "Hans", "Helen", "Henry", "Ida", "Iris", "Ivan", "Jack",
          "Jane", "John", "Julia", "Karl", "Kate", "Kira", "Lara", "Leo", "Lily", "Lisa", "Lucy", "Lukas", "Maria", "Mark",
          "Max", "Mia", "Nina", "Noah", "Nora", "Oscar", "Otto", "Paul", "Peter", "Rosa", "Ruth", "Sam", "Sara", "Simon",
          "Sofia", "Theo", "Tom", "Vera"]

ANIMALS = ["bear", "bird", "cat", "cow", "deer", "dog", "duck", "eagle", "fish", "fox", "frog", "goat", "hare", "horse", "lion",
           "mouse", "owl", "pig", "sheep", "wolf"]
COLORS = ["black", "blue", "brown", "gray", "green", "orange", "pink", "purple", "red", "silver", "white", "yellow"]
FOODS = ["apples", "beans", "bread", "butter", "cake", "cheese", "cherries", "corn", "eggs", "fish", "grapes", "honey", "nuts",
         "pears", "plums", "rice", "salad", "soup", "tea", "tomatoes"]
RIVERS = ["Arno", "Bela", "Dova", "Ebra", "Fira", "Gala", "Ilma", "Kura", "Luga", "Mira", "Naba", "Orla", "Pola", "Rila", "Sena",
          "Tisa", "Ula", "Vara", "Wena", "Zora"]
LANGUAGES = ["Bask", "Cornic", "Dalic", "Estic", "Frisic", "Gaelic", "Ionic", "Kelic", "Ladic", "Manic", "Nordic", "Oric",
             "Pontic", "Runic", "Saric", "Tonic", "Ulic", "Vendic", "Walic", "Yoric"]
JOBS = ["actor", "baker", "builder", "cook", "dancer", "doctor", "driver", "farmer", "gardener", "hunter", "judge", "miller",
        "nurse", "painter", "pilot", "poet", "sailor", "singer", "tailor", "teacher"]

# Relations of countries and of people: values, five ways to ask or tell. One of the five is never trained on for a fact,
# but every way is for most other facts, so that none of its words is new.
COUNTRY_RELATIONS = {
    "capital": (None, ["What is the capital of {s}?", "Which city is the capital of {s}?", "Name the capital of {s}.",
                       "From which city is {s} ruled?", "Where does the ruler of {s} live?"]),
    "river": (RIVERS, ["What is the longest river of {s}?", "Which river flows through {s}?", "Name the river of {s}.",
                       "On which river do boats go in {s}?", "Where do people swim in {s}?"]),
    "language": (LANGUAGES, ["What is the language of {s}?", "Which language do people speak in {s}?",
                             "Name the language of {s}.", "In which language are the books of {s}?",
                             "What do children learn to read in {s}?"]),
    "color": (COLORS, ["What is the color of the flag of {s}?", "Which color has the flag of {s}?",
                       "Name the color of the flag of {s}.", "In which color are the soldiers of {s} dressed?",
                       "How are the ships of {s} painted?"]),
    "animal": (ANIMALS, ["What is the animal of {s}?", "Which animal is on the coins of {s}?", "Name the animal of {s}.",
                         "For which animal is {s} known?", "What do hunters look for in {s}?"]),
    "food": (FOODS, ["What is the food of {s}?", "Which food do people eat in {s}?", "Name the food of {s}.",
                     "For which food is {s} known?", "What is sold at the markets of {s}?"]),
}
PEOPLE_RELATIONS = {
    "job": (JOBS, ["What is the job of {s}?", "Which job has {s}?", "Name the job of {s}.", "As what does {s} work?",
                   "What did {s} learn to be?"]),
    "home": (None, ["What is the home of {s}?", "In which city does {s} live?", "Name the home of {s}.",
                    "Where does {s} live?", "Where is the house of {s}?"]),
    "pet": (ANIMALS, ["What is the pet of {s}?", "Which animal has {s}?", "Name the pet of {s}.", "What does {s} feed?",
                      "Which animal lives with {s}?"]),
    "meal": (FOODS, ["What is the meal of {s}?", "Which food does {s} eat?", "Name the meal of {s}.", "What does {s} cook?",
                     "What does {s} like most?"]),
}

# Endings that follow from what is known of a person: the relation, a beginning, the ending.
ENDINGS = [
    ("job", "{s} got up early and went to work.", "It was a long day for a {v}."),
    ("home", "{s} took the train and went home.", "The train stopped in {v}."),
    ("pet", "{s} opened the door and called the animal.", "The {v} came at once."),
    ("meal", "{s} was hungry and went to the kitchen.", "There were still some {v}."),
]

THINGS = ["books", "boxes", "cards", "coins", "cups", "flowers", "keys", "pens", "shells", "stamps"]

# Steps of word problems: how it begins, and what changes the number {n}.
BEGINNINGS = ["{a} has {n} {t}.", "There are {n} {t} on the table of {a}.", "{a} finds {n} {t}."]
STEPS = [("{a} buys {n} more.", "+"), ("{a} gets {n} from a friend.", "+"), ("{a} gives {n} away.", "-"),
         ("{a} loses {n} of them.", "-"), ("{a} makes {n} times as many.", "*")]
QUESTION = "How many {t} does {a} have now?"

# News: what happened, its summary; details that may follow in any order.
NEWS = [
    ("A fire broke out in the {p} of {c} on {d}.", "A fire broke out in the {p} of {c}."),
    ("The new {p} of {c} was opened on {d}.", "{c} has a new {p}."),
    ("The old {p} of {c} will be closed on {d}.", "{c} will close its old {p}."),
    ("On {d} {a} won the great race of {c}.", "{a} won the race of {c}."),
    ("On {d} a storm broke the roof of the {p} of {c}.", "A storm broke the {p} of {c}."),
    ("{a} gave a {p} to the people of {c} on {d}.", "{a} gave {c} a {p}."),
]
PLACES = ["bakery", "bridge", "church", "garden", "library", "market", "museum", "school", "station", "theater", "tower", "zoo"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
DETAILS = [
    "Many people came to look.", "Nobody was hurt.", "The mayor of {c} was happy about it.", "It took {n} hours.",
    "{b} wrote about it in the paper.", "The weather was {w} that day.", "About {n} people were there.",
    "{b} had told everybody before.", "The work will cost {n} coins.", "Children sang a song.",
]
WEATHER = ["cold", "warm", "wet", "dry", "windy", "bright"]

# Short stories, for the language itself.
STORIES = [
    "{a} and {b} went to the {p}. It was a {w} day. {a} saw a {x} and called {b}. The {x} was {k}. They gave it some {f} and "
    "went home happy.",
    "One day {a} lost a {k} key. {b} looked for it in the {p}. A {x} had it all the time. {a} thanked the {x} and laughed.",
    "{a} wanted to cook {f} for {b}. There was nothing in the kitchen. So {a} went to the market, bought {f} and came back. "
    "{b} liked it very much.",
    "It was {w} on {d}. {a} stayed in the house and read a book about a {k} {x}. Then {b} came, and they played cards.",
]
