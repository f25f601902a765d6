"""make_golden.py DATA OUT: what lm-evaluation-harness 0.4.13 itself makes of the shared datasets.

For every task: the hash of all contexts and continuations of the first documents, and its own metrics when each
(context, continuation) is given a log-likelihood drawn from a hash. The texts themselves stay out of OUT.
Needs `lm_eval==0.4.13`; run with the folder of the datasets (the one that tests find through SharedData).
"""
import hashlib
import json
import pathlib
import re
import sys
import types

COUNT = 200
DATA, OUT = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])

# The harness imports the Hugging Face libraries although nothing of them is used here.
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


datasets.Dataset = Rows
datasets.__version__ = "3.0.0"
import lm_eval  # noqa: E402
from lm_eval import utils  # noqa: E402
from lm_eval.api import metrics  # noqa: E402
from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.api.task import ConfigurableTask  # noqa: E402

import yaml  # noqa: E402

TASKS = pathlib.Path(lm_eval.__file__).parent / "tasks"


def lines(name):
    return [json.loads(line) for line in open(DATA / name, encoding="utf-8")]


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


def piqa():
    labels = (DATA / "piqa/valid-labels.lst").read_text().split()
    return [{**row, "label": int(label)} for row, label in zip(lines("piqa/valid_original.jsonl"), labels)]


# task: yaml, evaluated split, its rows, example rows
SETS = {
    "hellaswag": ("hellaswag/hellaswag.yaml", "validation", lines("hellaswag/val_1000.jsonl"), None),
    "boolq": ("super_glue/boolq/default.yaml", "validation", [boolq(r) for r in lines("boolq/val.jsonl")], None),
    "arc_easy": ("arc/arc_easy.yaml", "test", [letters(r, "question") for r in lines("arc_easy/test.jsonl")], None),
    "arc_challenge": ("arc/arc_easy.yaml", "test",
                      [letters(r, "question") for r in lines("arc_challenge/test.jsonl")], None),
    "piqa": ("piqa/piqa.yaml", "validation", piqa(), None),
    "winogrande": ("winogrande/default.yaml", "validation", [winogrande(r) for r in lines("winogrande/val.jsonl")],
                   None),
    "openbookqa": ("openbookqa/openbookqa.yaml", "test",
                   [letters(r, "question_stem") for r in lines("openbookqa/test.jsonl")], None),
    "lambada_openai": ("lambada/lambada_openai.yaml", "test",
                       [{"text": r["context"] + " " + r["continuation"]} for r in lines("lambada/test_openai.jsonl")],
                       None),
    "gsm8k": ("gsm8k/gsm8k.yaml", "test", lines("gsm8k/test.jsonl"), lines("gsm8k/train.jsonl")),
    "wikitext2": ("wikitext/wikitext.yaml", "test",
                  pages((DATA / "wikitext2/wiki.test.raw").read_text(encoding="utf-8")), None),
}


def draw(text):
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def answer(context, gold):
    """A text that is right, right in other words, or wrong, by the hash of its prompt."""
    number = gold.split("#### ")[-1]
    return [" " + gold, f" It is ${number}.00, so {number}.", f" #### {number} and\n#### 7", " I do not know.",
            f" The answer is {number}"][draw(context) % 5]


def run(name, shots):
    path, split, rows, examples = SETS[name]
    yaml.SafeLoader.add_constructor(
        "!function", lambda loader, node: utils.import_function(loader, node, TASKS / path))
    config = yaml.load((TASKS / path).read_text(), yaml.SafeLoader)
    config.pop("tag", None)
    sets = {"train": Rows(examples or rows), "validation": Rows(rows), "test": Rows(rows)}
    task = type("Task", (ConfigurableTask,), {"download": lambda self, *a, **k: setattr(self, "dataset", sets)})(
        config=config)
    task.set_fewshot_seed(1234)
    digest = hashlib.sha256()
    scored = {}
    for index, doc in enumerate(task.eval_docs):
        if index == COUNT:
            break
        context = task.fewshot_context(doc, shots)
        requests = task.construct_requests(doc, context)
        requests = requests if isinstance(requests, list) else [requests]
        for request in requests:
            for part in request.args:
                if isinstance(part, str):
                    digest.update(part.encode() + b"\0")
        if task.OUTPUT_TYPE == "generate_until":
            instance = Instance(request_type="generate_until", doc=doc, arguments=requests[0].args, idx=0,
                                metadata=(name, index, 1))
            instance.resps.append(answer(requests[0].args[0], doc["answer"]))
            for ensemble in task._filters:
                ensemble.apply([instance])
                for key, value in task.process_results(doc, [instance.filtered_resps[ensemble.name]]).items():
                    scored.setdefault(f"{key},{ensemble.name}", []).append(float(value))
            continue
        results = []
        for request in requests:
            number = draw("".join(request.args))
            results.append((-(number % 1000003) / 1000.0, number % 7 == 0))
        if task.OUTPUT_TYPE == "loglikelihood_rolling":
            results = results[0][0],
        for key, value in task.process_results(doc, results).items():
            scored.setdefault(key, []).append(value)
    values = {}
    for key, items in scored.items():
        metric = key.split(",")[0]
        aggregate = task.aggregation()[metric]
        values[key] = {"value": float(aggregate(items))}
        if aggregate is metrics.mean:
            values[key]["se"] = float(metrics.mean_stderr(items))
    return {"task": name, "num_fewshot": shots, "documents": min(COUNT, len(rows)), "sha256": digest.hexdigest(),
            "metrics": values}


CASES = [(name, 5 if name == "gsm8k" else 0) for name in SETS] + [
    ("hellaswag", 3), ("winogrande", 5), ("arc_easy", 4), ("lambada_openai", 2), ("boolq", 1), ("piqa", 2),
    ("openbookqa", 2)]


# Texts made up for the purpose, through the harness's own functions.
TEXTS = [
    "", " ", "plain", "Home and Garden: [header] How to remove ink [title] Use a razor. [step] Hold it  flat. Then",
    " leading [a]b[c] and trailing \n", "two  spaces   three", "[open bracket", "a ] b [ c ]", "tab\tnbsp\u00a0x\x1cfs",
    "\u00c9COLE \u00c4RGER na\u00efve", "s 'tis @-@ 1 @,@ 234 @.@ 5 ; ( x ) [ y ] { z } \" q \" ' r '",
    " = Title = \n \n = = Sub = = \n = = = Sub sub = = = \n N N N 5 \u00b0 C 's 's", "( a ( b ) c ) ' unpaired",
    "#### 12", "#### -1,234.5.\n#### 7", "The answer is $5.", "no digits", "#### ", "...", "1 2 3", "$1,000.", "x 42",
]

def texts():
    from lm_eval.filters.extraction import RegexFilter
    sys.path[:0] = [str(TASKS / "hellaswag"), str(TASKS / "wikitext")]
    import preprocess_wikitext
    import utils as hellaswag_utils
    config = yaml.load((TASKS / "gsm8k/gsm8k.yaml").read_text(), yaml.SafeLoader)
    filters = {entry["name"]: RegexFilter(**{k: v for k, v in entry["filter"][0].items() if k != "function"})
               for entry in config["filter_list"]}
    options = {k: v for k, v in config["metric_list"][0].items() if k.startswith("ignore") or k.startswith("regexes")}
    result = []
    for text in TEXTS:
        row = {"text": text, "hellaswag": hellaswag_utils.preprocess(text),
               "wikitext": preprocess_wikitext.wikitext_detokenizer({"page": text}), "capitalize": text.capitalize(),
               "strip": text.strip(), "words": len(re.split(r"\s+", text)), "filters": {}, "exact": {}}
        for name, regex in filters.items():
            row["filters"][name] = regex.apply([[text]], None)[0][0]
            row["exact"][name] = [
                float(metrics.exact_match_hf_evaluate([row["filters"][name]], [gold], **options)["exact_match"])
                for gold in ("#### 12", "so\n#### 1,000", "#### 5", "#### 3", "#### 42", "#### 1,234.5")]
        result.append(row)
    return result


def windows():
    result = []
    for count, length in ((10, 4), (4, 4), (3, 4), (1, 4), (5, 4), (8, 4), (9, 1), (6, 5)):
        pairs = [utils.make_disjoint_window(pair) for pair in utils.get_rolling_token_windows(
            list(range(100, 100 + count)), prefix_token=0, max_seq_len=length, context_len=1)]
        result.append({"count": count, "length": length,
                       "windows": [{"tokens": (a + b)[-(length + 1):], "first_scored": len((a + b)[-(length + 1):]) - len(b)}
                                   for a, b in pairs]})
    return result


OUT.write_text(json.dumps({"tasks": [run(name, shots) for name, shots in CASES], "texts": texts(),
                           "windows": windows()}, indent=1) + "\n")
