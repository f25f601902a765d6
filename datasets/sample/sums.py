"""One-step word problems for arithmetic.jsonl: (problem, operation), with a number {m}, a number {n}, a person {a} and
a thing {t}. Numbers are small: the task should tell a whole model from a damaged one, not a calculator from a human.
"""

THINGS = ["apples", "books", "coins", "pencils", "stamps", "marbles", "cookies", "flowers", "cards", "shells"]

SUMS = [
    ("{a} has {m} {t} and gets {n} more. How many {t} does {a} have now?", "+"),
    ("There are {m} {t} in one box and {n} {t} in another box. How many {t} are there in total?", "+"),
    ("{a} found {m} {t} on Monday and {n} {t} on Tuesday. How many {t} did {a} find?", "+"),
    ("{a} put {m} {t} on the table. Then {a} added {n} {t}. How many {t} are on the table?", "+"),
    ("{a} had {m} {t} and gave away {n}. How many {t} are left?", "-"),
    ("There were {m} {t} in a bag. {a} took out {n} of them. How many {t} are still in the bag?", "-"),
    ("{a} bought {m} {t} and lost {n} of them. How many {t} does {a} still have?", "-"),
    ("{a} has {m} bags with {n} {t} in each bag. How many {t} does {a} have?", "*"),
    ("{a} buys {m} packs of {n} {t}. How many {t} does {a} buy?", "*"),
    ("There are {m} shelves with {n} {t} on each shelf. How many {t} are there?", "*"),
]
