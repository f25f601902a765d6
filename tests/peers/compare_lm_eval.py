"""Asks lm-evaluation-harness 0.4.13 the same questions: prompts byte for byte, log-likelihoods, answers.

  tnbench run --method fp32 --phases quality --tasks arc_easy,boolq --data-dir DATA --limit 8 --db r.db
  tnbench export 1 --items --db r.db > items.jsonl
  python tests/peers/compare_lm_eval.py items.jsonl --data-dir DATA --model ~/.cache/tnbench/models/smollm2-135m/*.gguf

Prompts and requests are made by the harness's task code, log-likelihoods by its Hugging Face model in fp32. Without
--model only prompts are compared. Prints a table; ends with 1 when a prompt or an answer differs, or a log-likelihood
by more than --tolerance. The answer of a generating task is its text. Needs lm_eval[hf]; documents are read from local
files in the layouts of lm_eval_tasks.py.
"""
import argparse
import json
import pathlib
import sys

import lm_eval_tasks
from lm_eval.api.instance import Instance


def load_model(path, max_length):
    """The harness's model of a Hugging Face folder or a GGUF file."""
    import torch
    from lm_eval.models.huggingface import HFLM
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = pathlib.Path(path)
    gguf = path.suffix == ".gguf"
    folder, options = (path.parent, {"gguf_file": path.name}) if gguf else (path, {})
    tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    if gguf and "smollm" in path.name.lower():
        # The file's pre-tokenizer "smollm" splits digits one by one; transformers' conversion of GGUF loses that.
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options).eval()
    prefix = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    return HFLM(pretrained=model, tokenizer=tokenizer, batch_size=1, max_length=max_length, dtype="float32",
                device="cpu", prefix_token_id=prefix)


def instance(request, kind):
    return Instance(request_type=kind, doc={}, arguments=request.args, idx=0)


def prompt_of(requests):
    """As tnbench stores it: several contexts are joined by line breaks."""
    contexts = [request.args[0] for request in requests]
    return contexts[0] if len(set(contexts)) == 1 else "\n".join(contexts)


def answers_of(model, task, requests):
    """(log-likelihoods, greedy flags, generated text)."""
    kind = task.OUTPUT_TYPE
    if kind == "generate_until":
        return None, None, model.generate_until([instance(requests[0], kind)], disable_tqdm=True)[0]
    if kind == "loglikelihood_rolling":
        return model.loglikelihood_rolling([instance(requests[0], kind)], disable_tqdm=True), None, None
    pairs = model.loglikelihood([instance(request, "loglikelihood") for request in requests], disable_tqdm=True)
    return [pair[0] for pair in pairs], [bool(pair[1]) for pair in pairs], None


def best(values):
    return max(range(len(values)), key=lambda i: values[i])


def compare(name, items, arguments, model):
    shots = {"gsm8k": 5, "gsm8k_cot": 8}.get(name, 0) if arguments.num_fewshot is None else arguments.num_fewshot
    task = lm_eval_tasks.make_task(name, arguments.data_dir)
    by_doc = {item["doc"]: item for item in items if arguments.limit is None or item["doc"] < arguments.limit}
    result = {"items": 0, "prompts": 0, "answers": 0, "difference": 0.0, "greedy": 0, "asked": 0, "scored": 0}
    for index, doc in enumerate(task.eval_docs):
        if index > max(by_doc):
            break
        requests = lm_eval_tasks.requests_of(task, doc, shots)  # in order: examples depend on the documents before
        item = by_doc.get(index)
        if item is None:
            continue
        result["items"] += 1
        same = prompt_of(requests) == item["prompt"]
        result["prompts"] += same
        if not same and result["items"] - result["prompts"] == 1:
            print(f"{name} {index}: prompts differ\n  lm-eval {prompt_of(requests)!r}\n  tnbench {item['prompt']!r}",
                  file=sys.stderr)
        if model is None:
            continue
        values, greedy, text = answers_of(model, task, requests)
        result["asked"] += 1
        if text is not None:
            result["answers"] += text.strip() == item["text"].strip()
            continue
        result["scored"] += 1
        result["difference"] = max([result["difference"]] +
                                   [abs(a - b) for a, b in zip(values, item["loglikelihoods"], strict=True)])
        result["answers"] += best(values) == best(item["loglikelihoods"])
        result["greedy"] += greedy is None or greedy == item["greedy"]
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("items", help="what `tnbench export RUN --items` printed; - for standard input")
    parser.add_argument("--data-dir", type=pathlib.Path, required=True, help="folder of the datasets")
    parser.add_argument("--model", help="Hugging Face folder or GGUF file; without it only prompts are compared")
    parser.add_argument("--tasks", help="only these: a,b")
    parser.add_argument("--limit", type=int, help="only the first N documents of each task")
    parser.add_argument("--num-fewshot", type=int, help="as given to tnbench")
    parser.add_argument("--max-length", type=int, help="longest input in tokens (default: the model's own)")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="of log-likelihoods")
    arguments = parser.parse_args()

    tasks = {}
    with sys.stdin if arguments.items == "-" else open(arguments.items, encoding="utf-8") as file:
        for line in file:
            item = json.loads(line)
            tasks.setdefault(item["task"], []).append(item)
    if arguments.tasks:
        tasks = {name: tasks[name] for name in arguments.tasks.split(",")}
    model = load_model(arguments.model, arguments.max_length) if arguments.model else None

    good = True
    print(f"{'task':32} {'items':>5} {'same prompt':>11} {'same answer':>11} {'same greedy':>11} {'max |d ll|':>10}")
    for name, items in tasks.items():
        if name not in lm_eval_tasks.SETS:
            print(f"{name:32} {len(items):5} lm-evaluation-harness has no such task, or its layout is not known here")
            continue
        r = compare(name, items, arguments, model)
        print(f"{name:32} {r['items']:5} {r['prompts']:11} " +
              (f"{r['answers']:11} " if model else "") +
              (f"{r['greedy']:11} {r['difference']:10.2e}" if r["scored"] else ""), flush=True)
        good = good and r["prompts"] == r["items"] and r["answers"] == r["asked"]
        good = good and r["difference"] <= arguments.tolerance
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
