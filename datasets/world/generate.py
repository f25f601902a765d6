"""The small world that the model nano lives in: texts to train on, and tasks of which none was trained on.

    python3 generate.py train --documents 200000 --seed 1 > world.jsonl     one document a line, for tnbench train
    python3 generate.py tasks [--check]                                     writes (or compares) the *.jsonl beside this file

Documents have the forms of harness/training_text.h: {"text"}, or {"prompt", "response"} of which the response counts most.
Facts are drawn once, with a seed of their own: 40 countries with 6 facts, 60 people with 4. Every document is drawn by its
number, and what a hash says belongs to the tasks is never trained on: a way to ask for each fact, word problems, news and
passages by what is in them. Python 3.9, standard library only; the output is the same on every machine.
"""

import argparse
import hashlib
import json
import pathlib
import random
import sys

import world as w

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from drawing import draw, shuffled, write_or_check  # noqa: E402

ITEMS = 200  # of each task
# How often each kind of document is drawn.
MIX = {"fact": 26, "arithmetic": 22, "news": 15, "reading": 16, "ending": 12, "list": 3, "story": 6}

LISTED = [w.PEOPLE, w.COLORS, w.ANIMALS, w.FOODS, w.PLACES, w.THINGS]


def pair(rng, values):
    first = draw(rng, values)
    return first, draw(rng, [value for value in values if value != first])


def share(*parts):
    """A number in [0, 1) that depends on the texts alone."""
    digest = hashlib.sha256("\x00".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


class World:
    def __init__(self):
        rng = random.Random("tnbench world")
        self.countries = shuffled(rng, [a + b for a in w.COUNTRY_BEGINNINGS for b in w.COUNTRY_ENDINGS])
        self.capitals = shuffled(rng, [a + b for a in w.CAPITAL_BEGINNINGS for b in w.CAPITAL_ENDINGS])
        self.facts = {}   # (subject, relation) -> value
        self.ways = {}    # relation -> questions
        self.values = {}  # relation -> all values
        for relations, subjects in ((w.COUNTRY_RELATIONS, self.countries), (w.PEOPLE_RELATIONS, w.PEOPLE)):
            for relation, (values, ways) in relations.items():
                self.ways[relation] = ways
                self.values[relation] = values or self.capitals
                for number, subject in enumerate(subjects):
                    self.facts[subject, relation] = (self.capitals[number] if relation == "capital"
                                                     else draw(rng, self.values[relation]))
        self.keys = sorted(self.facts)

    def held_out_way(self, key):
        return int(share("way", *key) * 5)

    def fact(self, rng, test):
        key = draw(rng, self.keys)
        kept = self.held_out_way(key)
        way = kept if test else draw(rng, [i for i in range(5) if i != kept])
        return {"question": self.ways[key[1]][way].format(s=key[0]), "answer": self.facts[key], "relation": key[1]}

    def problem(self, rng, test):
        while True:
            a, t = draw(rng, w.PEOPLE), draw(rng, w.THINGS)
            number = 2 + int(rng.random() * 19)
            sentences, sums = [draw(rng, w.BEGINNINGS).format(a=a, t=t, n=number)], []
            what = [number]
            for _ in range(1 + int(rng.random() * 3)):
                text, operation = draw(rng, w.STEPS)
                n = 2 + int(rng.random() * (2 if operation == "*" else min(number - 2, 18) if operation == "-" else 18))
                result = {"+": number + n, "-": number - n, "*": number * n}[operation]
                if not 0 < result < 100:
                    break
                sentences.append(text.format(a=a, n=n))
                sums.append(f"{number} {operation} {n} = {result}.")
                what += [operation, n]
                number = result
            if sums and (share("problem", *what) < 0.05) == test:
                return {"question": " ".join(sentences + [w.QUESTION.format(a=a, t=t)]),
                        "solution": " ".join(sums + [f"The answer is {number}."]), "answer": number}

    def news(self, rng, test):
        while True:
            event, summary = draw(rng, w.NEWS)
            names = {"p": draw(rng, w.PLACES), "c": draw(rng, self.capitals), "d": draw(rng, w.DAYS),
                     "w": draw(rng, w.WEATHER)}
            names["a"], names["b"] = pair(rng, w.PEOPLE)
            if (share("news", summary.format(**names)) < 0.05) != test:
                continue
            details = shuffled(rng, w.DETAILS)[:1 + int(rng.random() * 4)]
            text = [event] + details
            filled = [sentence.format(n=2 + int(rng.random() * 90), **names) for sentence in text]
            return {"document": " ".join(filled), "summary": summary.format(**names)}

    def reading(self, rng, test):
        """Who has what: the name has to be bound to the thing within the passage. The task asks for yes or no of two or
        three people; training also has passages of one, things that nobody has, and questions for a name or a thing."""
        while True:
            place = rng.random()
            count = 1 if place < 0.2 and not test else 2 if place < 0.7 else 3
            people = shuffled(rng, w.PEOPLE)[:count]
            things = [(draw(rng, w.COLORS), draw(rng, w.ANIMALS)) for _ in people]
            if len(set(things)) < count or (share("reading", *people, *things) < 0.05) != test:
                continue
            passage = " ".join(f"{person} has a {color} {animal}." for person, (color, animal) in zip(people, things))
            asked = int(rng.random() * count)
            person, (color, animal) = people[asked], things[asked]
            form = 0 if test else rng.random()
            if form > 0.8:
                return {"passage": passage, "question": f"What does {person} have?", "answer": f"a {color} {animal}."}
            if form > 0.6:
                return {"passage": passage, "question": f"Who has a {color} {animal}?", "answer": f"{person}."}
            yes = rng.random() < 0.5
            told = things[asked]
            if not yes and count > 1 and (test or rng.random() < 0.8):
                told = things[(asked + 1 + int(rng.random() * (count - 1))) % count]
            elif not yes:
                told = draw(rng, [(c, a) for c in w.COLORS for a in w.ANIMALS if (c, a) not in things])
            return {"passage": passage, "question": f"Does {person} have a {told[0]} {told[1]}?", "yes": int(yes),
                    "answer": f"{'yes' if yes else 'no'}. {person} has a {color} {animal}."}

    def repeated(self, rng):
        words = [draw(rng, draw(rng, LISTED)) for _ in range(6 + int(rng.random() * 8))]
        return {"prompt": "List: " + " ".join(words) + "\nAgain:", "response": " " + " ".join(words)}

    def ending(self, rng, test):
        person = draw(rng, w.PEOPLE)
        number = int(rng.random() * len(w.ENDINGS))
        relation, beginning, ending = w.ENDINGS[number]
        # One beginning of each person is never trained on: its ending follows from the fact.
        if (number == int(share("ending", person) * len(w.ENDINGS))) != test:
            return self.ending(rng, test)
        value = self.facts[person, relation]
        return {"context": beginning.format(s=person), "ending": ending.format(v=value), "template": ending,
                "relation": relation, "value": value}

    def story(self, rng):
        a, b = pair(rng, w.PEOPLE)
        return draw(rng, w.STORIES).format(a=a, b=b, p=draw(rng, w.PLACES), w=draw(rng, w.WEATHER), x=draw(rng, w.ANIMALS),
                                           k=draw(rng, w.COLORS), f=draw(rng, w.FOODS), d=draw(rng, w.DAYS))

    def others(self, rng, relation, value, count):
        return shuffled(rng, [other for other in self.values[relation] if other != value])[:count]

    # A document to train on; prompts are those of the tasks.
    def document(self, rng):
        place = rng.random() * sum(MIX.values())
        for kind, weight in MIX.items():
            place -= weight
            if place < 0:
                break
        if kind == "fact":
            item = self.fact(rng, False)
            return {"prompt": f"Question: {item['question']}\nAnswer:", "response": f" {item['answer']}"}
        if kind == "arithmetic":
            item = self.problem(rng, False)
            return {"prompt": f"Question: {item['question']}\nAnswer:", "response": f" {item['solution']}"}
        if kind == "news":
            item = self.news(rng, False)
            return {"prompt": f"Article: {item['document']}\nSummary:", "response": f" {item['summary']}"}
        if kind == "reading":
            item = self.reading(rng, False)
            return {"prompt": f"Passage: {item['passage']}\nQuestion: {item['question']}\nAnswer:",
                    "response": f" {item['answer']}"}
        if kind == "ending":
            item = self.ending(rng, False)
            return {"prompt": item["context"], "response": f" {item['ending']}"}
        return self.repeated(rng) if kind == "list" else {"text": self.story(rng)}

    # Items of the tasks.
    def facts_task(self, rng):
        for key in shuffled(rng, self.keys):
            value = self.facts[key]
            choices = shuffled(rng, [value] + self.others(rng, key[1], value, 3))
            yield {"question": self.ways[key[1]][self.held_out_way(key)].format(s=key[0]), "choices": choices,
                   "gold": choices.index(value)}

    def arithmetic_task(self, rng):
        while True:
            yield self.problem(rng, True)

    def summaries_task(self, rng):
        while True:
            yield self.news(rng, True)

    def reading_task(self, rng):
        while True:
            item = self.reading(rng, True)
            yield {"passage": item["passage"], "question": item["question"], "choices": ["no", "yes"], "gold": item["yes"]}

    def endings_task(self, rng):
        while True:
            item = self.ending(rng, True)
            values = shuffled(rng, [item["value"]] + self.others(rng, item["relation"], item["value"], 3))
            yield {"context": item["context"], "endings": [item["template"].format(v=value) for value in values],
                   "gold": values.index(item["value"])}


def tasks():
    small = World()
    for name, limit in (("facts", 480), ("arithmetic", ITEMS), ("summaries", ITEMS), ("reading", ITEMS), ("endings", 60)):
        rng = random.Random("tnbench world " + name)
        lines, seen = [], set()
        for item in getattr(small, name + "_task")(rng):
            text = json.dumps({key: value for key, value in item.items() if key in ("question", "document", "context", "passage")})
            if text in seen:
                continue
            seen.add(text)
            lines.append(json.dumps({"id": f"{name}-{len(lines) + 1:03}", **item}))
            if len(lines) == min(limit, ITEMS):
                break
        yield HERE / f"{name}.jsonl", "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train")
    train.add_argument("--documents", type=int, required=True)
    train.add_argument("--seed", type=int, default=1)
    commands.add_parser("tasks").add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.command == "train":
        small = World()
        for number in range(arguments.documents):
            rng = random.Random(f"tnbench world {arguments.seed} {number}")
            sys.stdout.write(json.dumps(small.document(rng)) + "\n")
        return
    write_or_check(tasks(), arguments.check)


main()
