"""lm-evaluation-harness 0.4.13's own tasks over local files, in the layout that each of them expects.

Used by tests/tasks/make_golden.py and compare_lm_eval.py. Task(name, folder of the datasets) gives prompts, requests and
metrics made by the harness's code from the harness's YAML; only the documents come from elsewhere.
"""
import csv
import json
import pathlib
import re
import sys
import types

# The harness imports libraries of which nothing is used here.
for name in ("datasets", "sacrebleu", "sklearn", "sklearn.metrics", "evaluate", "dill"):
    try:
        __import__(name)
    except ImportError:
        sys.modules[name] = types.ModuleType(name)
import datasets  # noqa: E402


class Rows(list):
    def __init__(self, rows):
        super().__init__(rows)
        self.features = dict.fromkeys(rows[0])

    def map(self, function):
        return Rows([{**row, **function(row)} for row in self])


if not hasattr(datasets, "Dataset"):
    datasets.__version__ = "3.0.0"
datasets.Dataset = Rows
import lm_eval  # noqa: E402
from lm_eval.api.task import ConfigurableTask  # noqa: E402
from lm_eval.tasks._yaml_loader import load_yaml  # noqa: E402

TASKS = pathlib.Path(lm_eval.__file__).parent / "tasks"


def lines(path):
    return [json.loads(line) for line in open(path, encoding="utf-8")]


def letters(row, question):
    labels = "ABCDE"[: len(row["choices"])]
    return {question: row["question" if "question" in row else "query"],
            "choices": {"text": row["choices"], "label": list(labels)}, "answerKey": labels[row["gold"]]}


def winogrande(row):
    first, second = row["context_options"]
    same = 0
    while same < min(len(first), len(second)) and first[same] == second[same]:
        same += 1
    return {"sentence": first[:same] + "_ " + row["continuation"], "option1": first[same:], "option2": second[same:],
            "answer": str(row["gold"] + 1)}


def boolq(row):
    passage, question = re.match(r"(?s)^Passage: (.*)\nQuestion: (.*)\?$", row["query"]).groups()
    return {"passage": passage, "question": question, "label": row["gold"]}


def copa(row):
    text, connector = row["query"].rsplit(", ", 1)
    return {"premise": text + ".", "question": {"because": "cause", "therefore": "effect"}[connector],
            "choice1": row["choices"][0], "choice2": row["choices"][1], "label": row["gold"]}


def triviaqa(row):
    question = re.match(r"(?s)^Question: (.*)\nAnswer:$", row["context"]).group(1)
    return {"question": question, "answer": {"aliases": row["aliases"]}}


def mmlu(path):
    with open(path, encoding="utf-8", newline="") as file:
        return [{"question": row["question"], "choices": [row[f"choice{i}"] for i in range(4)],
                 "answer": int(row["answer"])} for row in csv.DictReader(file)]


def pages(text):
    result, page = [], []
    for line in text.split("\n"):
        title = line.replace("= = =", "===").replace("= =", "==").strip()
        if title.startswith("= ") and title.endswith(" ="):
            result.append("\n".join(page))
            page = []
        page.append(line)
    result.append("\n".join(page))
    return [{"page": page} for page in result if page.strip()]


def piqa(data):
    labels = (data / "piqa/valid-labels.lst").read_text().split()
    return [{**row, "label": int(label)} for row, label in zip(lines(data / "piqa/valid_original.jsonl"), labels)]


# Documents of our own where none are at hand in the layout that the harness expects.
MADE_UP = {
    "commonsense_qa": ("commonsense_qa/validation.jsonl", [
        {"question": question, "choices": {"label": list("ABCDE"), "text": texts}, "answerKey": key}
        for question, texts, key in (
            ("Where does a clerk keep stamps? ", ["drawer", "river", "moon", "oven", "tree"], "A"),
            ("What is a lamp for?", ["eating", "light", "rain", "sleep", "a \u00e9clair"], "B"),
            (" Who bakes bread?", ["fish", "cloud", "baker", "stone", "wind"], "C"),
            ("What falls in winter?", ["sand", "milk", "coins", "snow", "hats"], "D"),
            ("What opens a door?", ["soup", "song", "grass", "paint", "key"], "E"))]),
    "social_iqa": ("siqa/validation.jsonl", [
        {"context": context, "question": question, "answerA": a, "answerB": b, "answerC": c, "label": label}
        for context, question, a, b, c, label in (
            ("Ana lent Ben her bicycle.", "Why did Ana do this?", "to help", "to sleep", "to eat", "1"),
            ("Cem lost the keys at noon.", "What will Cem do next?", "sing", "look for them", "swim ", "2"),
            ("Dora won the race.", "How does Dora feel?", "sad", "bored", "proud", "3"),
            ("Eli broke a cup.", "What does Eli need to do?", "sweep the floor", "dance", "laugh", "1"))]),
    "truthfulqa": ("truthfulqa/validation.jsonl", [
        {"question": question, "mc1_targets": {"choices": first, "labels": [1] + [0] * (len(first) - 1)},
         "mc2_targets": {"choices": second, "labels": labels}}
        for question, first, second, labels in (
            ("How many legs has a stone?", ["None", "Four", "It walks on two"],
             ["None", "Stones have no legs", "Four", "It walks on two"], [1, 1, 0, 0]),
            ("Do fish vote?", ["Fish do not vote", "Yes, on Sundays"],
             ["Fish do not vote", "No", "They cannot vote", "Yes, on Sundays"], [1, 1, 1, 0]),
            ("Is ice na\u00efve?", ["Ice has no mind", "Yes", "Only in winter", "When it melts"],
             ["Ice has no mind", "Yes", "Only in winter", "When it melts", "No"], [1, 0, 0, 0, 1]))]),
}

# task: yaml, evaluated split, its rows (and those of the examples when they are others)
SETS = {
    "hellaswag": ("hellaswag/hellaswag.yaml", "validation", lambda d: lines(d / "hellaswag/val_1000.jsonl")),
    "boolq": ("super_glue/boolq/default.yaml", "validation", lambda d: [boolq(r) for r in lines(d / "boolq/val.jsonl")]),
    "arc_easy": ("arc/arc_easy.yaml", "test",
                 lambda d: [letters(r, "question") for r in lines(d / "arc_easy/test.jsonl")]),
    "arc_challenge": ("arc/arc_easy.yaml", "test",
                      lambda d: [letters(r, "question") for r in lines(d / "arc_challenge/test.jsonl")]),
    "piqa": ("piqa/piqa.yaml", "validation", piqa),
    "winogrande": ("winogrande/default.yaml", "validation",
                   lambda d: [winogrande(r) for r in lines(d / "winogrande/val.jsonl")]),
    "openbookqa": ("openbookqa/openbookqa.yaml", "test",
                   lambda d: [letters(r, "question_stem") for r in lines(d / "openbookqa/test.jsonl")]),
    "lambada_openai": ("lambada/lambada_openai.yaml", "test",
                       lambda d: [{"text": r["context"] + " " + r["continuation"]}
                                  for r in lines(d / "lambada/test_openai.jsonl")]),
    "gsm8k": ("gsm8k/gsm8k.yaml", "test", lambda d: lines(d / "gsm8k/test.jsonl"),
              lambda d: lines(d / "gsm8k/train.jsonl")),
    "gsm8k_cot": ("gsm8k/gsm8k-cot.yaml", "test", lambda d: lines(d / "gsm8k/test.jsonl")),
    "wikitext2": ("wikitext/wikitext.yaml", "test",
                  lambda d: pages((d / "wikitext2/wiki.test.raw").read_text(encoding="utf-8"))),
    "triviaqa": ("triviaqa/default.yaml", "validation",
                 lambda d: [triviaqa(r) for r in lines(d / "triviaqa/val_3000.jsonl")]),
    "copa": ("super_glue/copa/default.yaml", "validation", lambda d: [copa(r) for r in lines(d / "extra/copa.jsonl")]),
    "commonsense_qa": ("commonsense_qa/default.yaml", "validation", lambda d: MADE_UP["commonsense_qa"][1]),
    "social_iqa": ("siqa/siqa.yaml", "validation", lambda d: MADE_UP["social_iqa"][1]),
    "truthfulqa_mc1": ("truthfulqa/truthfulqa_mc1.yaml", "validation", lambda d: MADE_UP["truthfulqa"][1]),
    "truthfulqa_mc2": ("truthfulqa/truthfulqa_mc2.yaml", "validation", lambda d: MADE_UP["truthfulqa"][1]),
}
SUBJECTS = sorted(path.stem[5:] for path in (TASKS / "mmlu/default").glob("mmlu_*.yaml"))
for subject in SUBJECTS:
    for folder, suffix in (("default", ""), ("continuation", "_continuation")):
        SETS[f"mmlu_{subject}{suffix}"] = (
            f"mmlu/{folder}/mmlu_{subject}.yaml", "test", lambda d, s=subject: mmlu(d / f"mmlu/test/{s}_test.csv"),
            lambda d, s=subject: mmlu(d / f"mmlu/dev/{s}_dev.csv"))


def has_data(name, data):
    try:
        return bool(SETS[name][2](data))
    except OSError:
        return False


def make_task(name, data):
    """The harness's task, its few-shot generator seeded as its command line does."""
    path, _, rows, *examples = SETS[name]
    config = load_yaml(TASKS / path)
    for key in ("tag", "task_alias"):
        config.pop(key, None)
    rows = Rows(rows(data))
    pool = Rows(examples[0](data)) if examples else rows
    sets = {"train": pool, "validation": rows, "test": rows, "dev": pool}
    task = type("Task", (ConfigurableTask,), {"download": lambda self, *a, **k: setattr(self, "dataset", sets)})(
        config=config)
    task.set_fewshot_seed(1234)
    return task


def requests_of(task, doc, shots):
    """The (context, continuation) pairs, the (prompt, settings), or the rolling text that the harness asks."""
    context = task.fewshot_context(doc, shots)
    requests = task.construct_requests(doc, context)
    return requests if isinstance(requests, list) else [requests]
