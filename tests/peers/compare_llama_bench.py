#!/usr/bin/env python3
"""Speed beside llama.cpp: `tnbench bench` and `llama-bench`, interleaved, and the ratios.

    python3 tests/peers/compare_llama_bench.py --tnbench ./tnbench --llama-bench /path/to/llama-bench \\
        --pair fp32 model-F32.gguf --pair bf16 model-BF16.gguf --pair int8:group=32@attn/mlp/embed model-Q8_0.gguf \\
        --pair int4:group=32,zero=sym+int8:group=32@embed model-Q4_0.gguf

A pair is a method of tnbench and the file that stores the same bits (embeddings included: llama.cpp quantizes them).
Every round runs each program once per pair, one after the other, so that a slow minute of the machine falls on
both; medians over the rounds are compared. tnbench uses random weights in the shape of --model, llama.cpp the given
files: speed does not depend on the values. Without --llama-bench only tnbench's columns are printed.

A llama-bench comes with llama.cpp (cmake -B build && cmake --build build --target llama-bench); the source package
of llama-cpp-python on PyPI holds llama.cpp in vendor/llama.cpp. Files of other types are made from one with
llama-quantize.
"""
import argparse
import json
import statistics
import subprocess
import sys
import tempfile


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tnbench", default="./tnbench")
    parser.add_argument("--llama-bench", help="llama.cpp's llama-bench")
    parser.add_argument("--pair", action="append", nargs=2, required=True, metavar=("METHOD", "FILE"),
                        help="a method and llama.cpp's file of it; repeatable")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("-p", "--prefill", type=int, default=512)
    parser.add_argument("-n", "--decode", type=int, default=32)
    parser.add_argument("-d", "--depth", type=int, default=0)
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-r", "--rounds", type=int, default=5)
    return parser.parse_args()


def run(command):
    """Standard output of a command; ends the program with its error output when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def tnbench_rates(arguments, method):
    """((tokens/s, share of the machine's limit) of prefill, the same of decode)."""
    with tempfile.TemporaryDirectory() as folder:
        tables = json.loads(run([arguments.tnbench, "bench", "--model", arguments.model, "--method", method, "-p",
                                 str(arguments.prefill), "-n", str(arguments.decode), "-d", str(arguments.depth), "-t",
                                 str(arguments.threads), "-r", "1", "--json", "--db", f"{folder}/bench.db"]))
    rates = {row["test"].split(" @")[0]: (row["rate"]["value"], row["share"]["value"]) for row in tables[1]["rows"]}
    return rates[f"pp{arguments.prefill}"], rates[f"tg{arguments.decode}"]


def llama_rates(arguments, file):
    """The same of llama.cpp: llama-bench gives one JSON object a test."""
    tests = json.loads(run([arguments.llama_bench, "-m", file, "-p", str(arguments.prefill), "-n",
                            str(arguments.decode), "-d", str(arguments.depth), "-t", str(arguments.threads), "-r", "1",
                            "-o", "json"]))
    prefill = [test["avg_ts"] for test in tests if test["n_prompt"] > 0]
    decode = [test["avg_ts"] for test in tests if test["n_gen"] > 0]
    return prefill[0], decode[0]


def main():
    arguments = parse_arguments()
    files = dict(arguments.pair)
    ours = {method: [] for method in files}
    theirs = {method: [] for method in files}
    for _ in range(arguments.rounds):
        for method, file in files.items():
            ours[method].append(tnbench_rates(arguments, method))
            if arguments.llama_bench:
                theirs[method].append(llama_rates(arguments, file))
    print("| method | test | tnbench [tokens/s] | of the machine's limit | llama.cpp [tokens/s] | ratio |\n|---|---|--:|--:|--:|--:|")
    for method in files:
        for which, test in enumerate((f"pp{arguments.prefill}", f"tg{arguments.decode}")):
            mine = statistics.median(rates[which][0] for rates in ours[method])
            share = statistics.median(rates[which][1] for rates in ours[method])
            other = statistics.median(rates[which] for rates in theirs[method]) if theirs[method] else None
            print(f"| {method} | {test} | {mine:.1f} | {share:.0%} | " +
                  (f"{other:.1f} | {mine / other:.2f} |" if other else "not measured | |"))


if __name__ == "__main__":
    main()
