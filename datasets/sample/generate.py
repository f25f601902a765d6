"""Writes the sample data: python3 generate.py. With --check it writes nothing and fails when a file differs.

The sample data lets a newcomer measure a model without fetching anything: five small tasks of tnbench's own making,
in the forms of the public ones (ending of a story, question about a passage, trivia, word problem, summary). A small
chat model is well above chance on them and far from perfect, so that damage shows. They are no public benchmark:
scores say how much of a model is left, not how good it is.

Texts come from the tables beside this file; a fixed seed draws names, values and orders. Python 3.11, standard
library only; the output is the same on every machine.
"""

import json
import pathlib
import random
import sys

from articles import ARTICLES
from facts import TABLES
from scenes import SCENES
from stories import PEOPLE, STORIES, WOMEN
from sums import SUMS, THINGS

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from drawing import draw, shuffled, write_or_check  # noqa: E402

PASSAGES_PER_STORY = 5
ITEMS_PER_SUM = 20


def one_of_four(rng, group):
    """Four (question, answer) pairs -> four items which all offer the four answers."""
    for question, answer in group:
        choices = shuffled(rng, [other for _, other in group])
        yield question, choices, choices.index(answer)


def continuation(rng):
    for scene in SCENES:
        for context, endings, gold in one_of_four(rng, scene):
            yield {"context": context, "endings": endings, "gold": gold}


def trivia(rng):
    for question, rows in TABLES.items():
        for first in range(0, len(rows), 4):
            group = [(question.format(hole), answer) for hole, answer in rows[first:first + 4]]
            for text, choices, gold in one_of_four(rng, group):
                yield {"question": text, "choices": choices, "gold": gold}


def reading(rng):
    for passage, question, fact, values in STORIES:
        seen = set()
        while len(seen) < PASSAGES_PER_STORY:
            a = draw(rng, PEOPLE)
            b = draw(rng, [name for name in WOMEN if name != a])
            told, other = shuffled(rng, values)[:2]
            text, told_fact = passage.format(a=a, b=b, x=told), fact.format(a=a, b=b, x=told)
            if text in seen:
                continue
            seen.add(text)
            for value in (told, other):
                yield {"passage": text, "question": question.format(a=a, b=b, x=value),
                       "choices": [f"No, {told_fact}.", f"Yes, {told_fact}."], "gold": int(value == told)}


def word_problem(rng, template, operation):
    m, n = 2 + int(rng.random() * 8), 2 + int(rng.random() * 8)
    if operation == "*":
        m, n = 2 + m % 4, 2 + n % 4
    if operation == "-":
        m += n
    result = {"+": m + n, "-": m - n, "*": m * n}[operation]
    names = {"a": draw(rng, PEOPLE), "t": draw(rng, THINGS), "m": m, "n": n}
    return {"question": template.format(**names), "solution": f"{m} {operation} {n} = {result}", "answer": result}


def arithmetic(rng, count):
    for template, operation in SUMS:
        seen = set()
        while len(seen) < count:
            item = word_problem(rng, template, operation)
            if item["question"] not in seen:
                seen.add(item["question"])
                yield item


def examples(rng):
    """Problems with numbers over 9, so that none is among the evaluated ones."""
    for template, operation, m, n in ((SUMS[0][0], "+", 12, 3), (SUMS[4][0], "-", 19, 6), (SUMS[8][0], "*", 10, 3)):
        result = {"+": m + n, "-": m - n, "*": m * n}[operation]
        text = template.format(a=draw(rng, PEOPLE), t=draw(rng, THINGS), m=m, n=n)
        yield {"question": text, "solution": f"{m} {operation} {n} = {result}", "answer": result}


def summaries(rng):
    for kind, (text, summary, fillings) in ARTICLES.items():
        for filling in fillings:
            yield {"document": text.format(*filling), "summary": summary.format(*filling), "kind": kind}


def files():
    makers = {
        "continuation": continuation,
        "reading": reading,
        "trivia": trivia,
        "arithmetic": lambda rng: arithmetic(rng, ITEMS_PER_SUM),
        "arithmetic_examples": examples,
        "summaries": summaries,
    }
    for name, maker in makers.items():
        rng = random.Random("tnbench " + name)
        # Mixed, so that the first N items (--limit N) are a fair sample.
        items = list(maker(rng))
        items = items if name == "arithmetic_examples" else shuffled(rng, items)
        lines = [json.dumps({"id": f"{name}-{number:03}", **item}, ensure_ascii=False)
                 for number, item in enumerate(items, 1)]
        yield HERE / f"{name}.jsonl", "\n".join(lines) + "\n"


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit("usage: generate.py [--check]")
    write_or_check(files(), check=bool(arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
