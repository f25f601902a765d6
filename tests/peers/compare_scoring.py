#!/usr/bin/env python3
"""Items a second beside lm-evaluation-harness 0.4.13 with transformers, on the same machine, model and documents.

    python tests/peers/compare_scoring.py --tnbench ./tnbench --data-dir DATA \\
        --model ~/.cache/tnbench/models/smollm2-135m/*.gguf --tasks hellaswag=0:200:40,mmlu_anatomy=5:135:10

A task is NAME=SHOTS:ITEMS:THEIRS: the first ITEMS documents are scored by tnbench, the first THEIRS by the harness, which
takes long. Every round runs each side once, one after the other, so that a slow minute of the machine
falls on both; medians over the rounds are compared. tnbench is timed as a whole quality phase (process, model, tokenizer,
scoring, database); of the harness only its model's loglikelihood() is timed, requests made and weights loaded before.
Answers are those of the same type of weights, compared with the harness at batch 1. Needs lm_eval[hf].
"""
import argparse
import json
import pathlib
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

import lm_eval_tasks
from compare_lm_eval import best, instance, load_model


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tnbench", default="./tnbench")
    parser.add_argument("--data-dir", type=pathlib.Path, required=True)
    parser.add_argument("--model", required=True, help="Hugging Face folder or GGUF file")
    parser.add_argument("--tasks", default="hellaswag=0:200:40", help="NAME=SHOTS:ITEMS:THEIRS,... (default: %(default)s)")
    parser.add_argument("--types", default="fp32,bf16", help="of the weights, tnbench methods (default: %(default)s)")
    parser.add_argument("--batches", default="1,16", help="of lm-evaluation-harness (default: %(default)s)")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-r", "--rounds", type=int, default=3)
    return parser.parse_args()


def ours(arguments, method, task, shots, items):
    """(seconds of the quality phase, log-likelihoods of every item)."""
    with tempfile.TemporaryDirectory() as folder:
        command = [arguments.tnbench, "run", "--model", arguments.model, "--method", method, "--phases",
                   "compress,quality", "--no-base", "--tasks", task, "--num-fewshot", str(shots), "--limit", str(items),
                   "--data-dir", str(arguments.data_dir), "--db", f"{folder}/r.db", "--artefacts", folder, "--threads",
                   str(arguments.threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
        database = sqlite3.connect(f"{folder}/r.db")
        seconds, = database.execute("SELECT seconds FROM phase WHERE name = 'quality'").fetchone()
        rows = database.execute("SELECT loglikelihoods FROM item ORDER BY doc_index").fetchall()
        return seconds, [json.loads(row[0]) for row in rows]


def theirs(model, batch, documents):
    """(seconds of loglikelihood(), log-likelihoods of every item)."""
    model.batch_size_per_gpu = batch
    flat = [instance(request, "loglikelihood") for requests in documents for request in requests]
    start = time.perf_counter()
    pairs = iter(model.loglikelihood(flat, disable_tqdm=True))
    seconds = time.perf_counter() - start
    return seconds, [[next(pairs)[0] for _ in requests] for requests in documents]


def same_answers(left, right):
    return sum(best(a) == best(b) for a, b in zip(left, right, strict=True))


def main():
    arguments = parse_arguments()
    import torch
    torch.set_num_threads(arguments.threads)
    types = arguments.types.split(",")
    batches = [int(batch) for batch in arguments.batches.split(",")]
    models = {name: load_model(arguments.model, None) for name in types}
    for name, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
        if name in models:
            models[name].model.to(dtype)
    print(f"{'task':24} {'shots':>5} {'items':>5} {'weights':>7} {'tnbench':>8}" +
          "".join(f" {f'batch {batch}':>9} {'ratio':>6}" for batch in batches) + "  same answer")
    for task in arguments.tasks.split(","):
        name, counts = task.split("=")
        shots, items, fewer = (int(count) for count in counts.split(":"))
        source = lm_eval_tasks.make_task(name, arguments.data_dir)
        documents = []
        for doc in source.eval_docs:
            if len(documents) == fewer:
                break
            documents.append(lm_eval_tasks.requests_of(source, doc, shots))
        seconds = {}
        answers = {}
        for _ in range(arguments.rounds):
            for weights in types:
                taken, answers[weights, "tnbench"] = ours(arguments, weights, name, shots, items)
                seconds.setdefault((weights, "tnbench"), []).append(taken)
                for batch in batches:
                    taken, answers[weights, batch] = theirs(models[weights], batch, documents)
                    seconds.setdefault((weights, batch), []).append(taken)
        for weights in types:
            rate = {side: (items if side == "tnbench" else fewer) / statistics.median(taken)
                    for (kind, side), taken in seconds.items() if kind == weights}
            print(f"{name:24} {shots:5} {items:5} {weights:>7} {rate['tnbench']:8.2f}" +
                  "".join(f" {rate[batch]:9.2f} {rate['tnbench'] / rate[batch]:5.1f}x" for batch in batches) +
                  f"  {same_answers(answers[weights, 'tnbench'][:fewer], answers[weights, batches[0]])}/{fewer}",
                  flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
