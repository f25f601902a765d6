"""make_golden.py DATA OUT: what lm-evaluation-harness 0.4.13 itself makes of the shared datasets.

For every task: the hash of all contexts and continuations of the first documents, and its own metrics when each
(context, continuation) is given a log-likelihood drawn from a hash. The texts themselves stay out of OUT, but for
documents of our own where none are at hand in the harness's layout.
Needs `lm_eval==0.4.13`; run with the folder of the datasets (the one that tests find through SharedData).
"""
import hashlib
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "peers"))
from lm_eval_tasks import MADE_UP, SETS, SUBJECTS, TASKS, make_task, requests_of  # noqa: E402

import yaml  # noqa: E402
from lm_eval import utils  # noqa: E402
from lm_eval.api import metrics  # noqa: E402
from lm_eval.api.instance import Instance  # noqa: E402

COUNT = 200
DATA, OUT = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])


def draw(text):
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def answer(name, context, gold):
    """A text that is right, right in other words, or wrong, by the hash of its prompt."""
    if name == "triviaqa":
        texts = [f" {gold[0]}", f"  ({gold[-1].lower()})", f"{gold[0]} x", "", f"\n{gold[0]}!\t"]
    elif name == "gsm8k_cot":
        texts = [f" So. The answer is {gold}.", f" It is ${gold}.00, so {gold}.", f" The answer is {gold}, not 7",
                 " I do not know.", f" {gold}"]
    else:
        number = gold.split("#### ")[-1]
        texts = [" " + gold, f" It is ${number}.00, so {number}.", f" #### {number} and\n#### 7", " I do not know.",
                 f" The answer is {number}"]
    return texts[draw(context) % 5]


def run(name, shots, count=COUNT, digest=None):
    task = make_task(name, DATA)
    digest = digest or hashlib.sha256()
    scored, documents = {}, 0
    for index, doc in enumerate(task.eval_docs):
        if index == count:
            break
        documents += 1
        requests = requests_of(task, doc, shots)
        for request in requests:
            for part in request.args:
                if isinstance(part, str):
                    digest.update(part.encode() + b"\0")
        if task.OUTPUT_TYPE == "generate_until":
            instance = Instance(request_type="generate_until", doc=doc, arguments=requests[0].args, idx=0,
                                metadata=(name, index, 1))
            instance.resps.append(answer(name, requests[0].args[0], task.doc_to_target(doc)))
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
    result = {"task": name, "num_fewshot": shots, "documents": documents, "sha256": digest.hexdigest(),
              "metrics": values}
    made_up = MADE_UP.get(name.split("_mc")[0])
    if made_up:
        result.update({"file": made_up[0], "rows": made_up[1]})
    return result


def family(name, shots, count):
    """All tasks of a family: one hash of all prompts, and the harness's metrics of its groups."""
    digest, members = hashlib.sha256(), {}
    suffix = name[len("mmlu"):]
    for subject in SUBJECTS:
        members[subject] = run(f"mmlu_{subject}{suffix}", shots, count, digest)
    config = {subject: yaml.safe_load((TASKS / f"mmlu/default/mmlu_{subject}.yaml").read_text()) for subject in SUBJECTS}
    groups = {}
    for group in ("", "_stem", "_humanities", "_social_sciences", "_other"):
        chosen = [s for s in SUBJECTS if not group or config[s]["tag"] == f"mmlu{group}_tasks"]
        sizes = [members[s]["documents"] for s in chosen]
        groups[name + group] = {
            metric: {"value": metrics.aggregate_subtask_metrics([members[s]["metrics"][metric]["value"] for s in chosen],
                                                                sizes),
                     "se": float(metrics.pooled_sample_stderr([members[s]["metrics"][metric]["se"] for s in chosen],
                                                              sizes)),
                     "n": sum(sizes), "tasks": len(chosen)}
            for metric in members[chosen[0]]["metrics"]}
    return {"family": name, "num_fewshot": shots, "limit": count, "sha256": digest.hexdigest(), "groups": groups}


OWN_SHOTS = {"gsm8k": 5, "gsm8k_cot": 8}
CASES = [(name, OWN_SHOTS.get(name, 0)) for name in SETS if not name.startswith("mmlu")] + [
    ("triviaqa", 5), ("copa", 3), ("commonsense_qa", 2), ("social_iqa", 2), ("gsm8k_cot", 4),
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


OUT.write_text(json.dumps({"tasks": [run(name, shots) for name, shots in CASES], "families": [family("mmlu", 5, 20), family("mmlu_continuation", 2, 5)],
                           "texts": texts(),
                           "windows": windows()}, indent=1) + "\n")
