"""Plain facts for trivia.jsonl.

A table is a question with a hole, and rows of (what fills the hole, answer). Four rows after one another make a group
with four different answers; each of its four items offers those four answers, so that every answer is right once and
wrong three times.
"""

TABLES = {
    "What is the capital of {}?": [
        ("France", "Paris"), ("Italy", "Rome"), ("Spain", "Madrid"), ("Germany", "Berlin"),
        ("Japan", "Tokyo"), ("Russia", "Moscow"), ("Egypt", "Cairo"), ("Greece", "Athens"),
        ("Portugal", "Lisbon"), ("Ireland", "Dublin"), ("Austria", "Vienna"), ("Poland", "Warsaw"),
        ("Norway", "Oslo"), ("Sweden", "Stockholm"), ("Denmark", "Copenhagen"), ("Finland", "Helsinki"),
        ("Canada", "Ottawa"), ("Australia", "Canberra"), ("China", "Beijing"), ("Cuba", "Havana"),
        ("Peru", "Lima"), ("Kenya", "Nairobi"), ("Thailand", "Bangkok"), ("South Korea", "Seoul"),
        ("Hungary", "Budapest"), ("Belgium", "Brussels"), ("Iraq", "Baghdad"), ("Iran", "Tehran"),
        ("the United Kingdom", "London"), ("the United States", "Washington, D.C."), ("Mexico", "Mexico City"),
        ("Argentina", "Buenos Aires")],
    "On which continent is {}?": [
        ("Egypt", "Africa"), ("Japan", "Asia"), ("Brazil", "South America"), ("Germany", "Europe"),
        ("Nigeria", "Africa"), ("India", "Asia"), ("Canada", "North America"), ("France", "Europe"),
        ("Kenya", "Africa"), ("China", "Asia"), ("Argentina", "South America"), ("Poland", "Europe")],
    "What is a young {} called?": [
        ("dog", "a puppy"), ("cat", "a kitten"), ("cow", "a calf"), ("horse", "a foal"),
        ("sheep", "a lamb"), ("pig", "a piglet"), ("bear", "a cub"), ("duck", "a duckling"),
        ("hen", "a chick"), ("deer", "a fawn"), ("kangaroo", "a joey"), ("goat", "a kid")],
    "What is the opposite of {}?": [
        ("hot", "cold"), ("big", "small"), ("day", "night"), ("up", "down"),
        ("fast", "slow"), ("old", "young"), ("rich", "poor"), ("wet", "dry"),
        ("happy", "sad"), ("light", "dark"), ("open", "closed"), ("first", "last"),
        ("full", "empty"), ("strong", "weak"), ("early", "late"), ("true", "false"),
        ("love", "hate"), ("war", "peace"), ("life", "death"), ("loud", "quiet"),
        ("thick", "thin"), ("win", "lose"), ("buy", "sell"), ("push", "pull")],
    "Who wrote {}?": [
        ("Hamlet", "William Shakespeare"), ("Don Quixote", "Miguel de Cervantes"),
        ("War and Peace", "Leo Tolstoy"), ("Oliver Twist", "Charles Dickens"),
        ("Pride and Prejudice", "Jane Austen"), ("Frankenstein", "Mary Shelley"),
        ("Moby-Dick", "Herman Melville"), ("Tom Sawyer", "Mark Twain"),
        ("The Old Man and the Sea", "Ernest Hemingway"), ("Faust", "Johann Wolfgang von Goethe"),
        ("The Raven", "Edgar Allan Poe"), ("The Odyssey", "Homer"),
        ("Animal Farm", "George Orwell"), ("The Hobbit", "J. R. R. Tolkien"),
        ("The Great Gatsby", "F. Scott Fitzgerald"), ("Crime and Punishment", "Fyodor Dostoevsky")],
    "Which scientist is known for {}?": [
        ("the theory of relativity", "Albert Einstein"), ("the law of gravity", "Isaac Newton"),
        ("the theory of evolution", "Charles Darwin"), ("the discovery of radium", "Marie Curie"),
        ("the discovery of penicillin", "Alexander Fleming"), ("the periodic table", "Dmitri Mendeleev"),
        ("the laws of heredity in peas", "Gregor Mendel"), ("the vaccine against rabies", "Louis Pasteur")],
    "Who {}?": [
        ("invented the telephone", "Alexander Graham Bell"), ("built the first powered airplane", "the Wright brothers"),
        ("invented dynamite", "Alfred Nobel"), ("built the first printing press in Europe", "Johannes Gutenberg"),
        ("was the first president of the United States", "George Washington"),
        ("was the first person to walk on the Moon", "Neil Armstrong"),
        ("sailed across the Atlantic in 1492", "Christopher Columbus"),
        ("painted the Mona Lisa", "Leonardo da Vinci")],
    "Which planet {}?": [
        ("is closest to the Sun", "Mercury"), ("is known as the Red Planet", "Mars"),
        ("is the largest in our solar system", "Jupiter"), ("do we live on", "Earth")],
    "What is the {}?": [
        ("largest ocean on Earth", "the Pacific Ocean"), ("highest mountain on Earth", "Mount Everest"),
        ("largest animal on Earth", "the blue whale"), ("largest hot desert on Earth", "the Sahara"),
        ("fastest animal on land", "the cheetah"), ("tallest living animal", "the giraffe"),
        ("largest land animal", "the elephant"), ("largest living bird", "the ostrich"),
        ("star at the center of our solar system", "the Sun"), ("natural satellite of the Earth", "the Moon"),
        ("hardest natural mineral", "diamond"), ("center of an atom called", "the nucleus")],
    "Who {} for a living?": [
        ("bakes bread", "a baker"), ("flies airplanes", "a pilot"), ("cuts hair", "a barber"), ("catches fish", "a fisherman"),
        ("teaches children in school", "a teacher"), ("puts out fires", "a firefighter"),
        ("grows crops", "a farmer"), ("takes care of teeth", "a dentist"),
        ("repairs cars", "a mechanic"), ("designs buildings", "an architect"), ("repairs water pipes", "a plumber"),
        ("writes news stories", "a journalist"), ("travels into space", "an astronaut"), ("makes wooden furniture", "a carpenter"),
        ("treats sick animals", "a veterinarian"), ("defends people in court", "a lawyer")],
    "What color is {}?": [
        ("a ripe banana", "yellow"), ("fresh grass", "green"), ("blood", "red"), ("the clear sky at noon", "blue"),
        ("snow", "white"), ("coal", "black"), ("a ripe lemon", "yellow"), ("chocolate", "brown")],
    "Which language do most people speak in {}?": [
        ("France", "French"), ("Mexico", "Spanish"), ("Brazil", "Portuguese"), ("Austria", "German"),
        ("Italy", "Italian"), ("Japan", "Japanese"), ("Russia", "Russian"), ("Egypt", "Arabic")],
    "What is {} made from?": [
        ("cheese", "milk"), ("wine", "grapes"), ("paper", "wood"), ("glass", "sand"),
        ("bread", "flour"), ("chocolate", "cocoa beans"), ("an omelet", "eggs"), ("ketchup", "tomatoes")],
    "How many {}?": [
        ("days are in a week", "seven"), ("months are in a year", "twelve"), ("minutes are in an hour", "sixty"),
        ("sides does a triangle have", "three"), ("legs does a spider have", "eight"),
        ("cents are in a dollar", "one hundred"), ("wheels does a bicycle have", "two"),
        ("hours are in a day", "twenty-four"), ("fingers are on one hand", "five"),
        ("sides does a square have", "four"), ("legs does an insect have", "six"),
        ("players of one soccer team are on the field", "eleven")],
    "Which organ {}?": [
        ("pumps blood through the body", "the heart"), ("do we breathe with", "the lungs"),
        ("do we think with", "the brain"), ("cleans the blood and makes urine", "the kidneys")],
    "What do you use to {}?": [
        ("tell the time", "a clock"), ("cut paper", "scissors"), ("sweep the floor", "a broom"),
        ("drive in a nail", "a hammer"), ("measure temperature", "a thermometer"), ("see distant stars", "a telescope"),
        ("unlock a door", "a key"), ("stay dry in the rain", "an umbrella"), ("find north", "a compass"),
        ("write on a blackboard", "chalk"), ("weigh yourself", "a scale"), ("eat soup", "a spoon")],
}
