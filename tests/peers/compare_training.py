"""Training steps of the same dense model, by tnbench and by transformers: tokens a second and peak memory.

    python3 compare_training.py TNBENCH MODEL TEXT [--batch 8 --length 256 --steps 5 --threads 2]

MODEL is what tnbench takes (a name or a path; it needs a tokenizer), TEXT a plain text of at least 2 x batch x length tokens.
tnbench heals the model with cross entropy on all linears, embedding included, in bf16; transformers trains a model of the
same shape with random weights under autocast(bfloat16) with torch's fused AdamW. The first step is left out on both sides,
each side runs in a process of its own. (torch 2.13, transformers 5.23)
"""

import argparse
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time


def theirs(config, batch, length, steps, threads):
    import torch
    import transformers

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=config["vocabulary_size"], hidden_size=config["hidden_size"],
        intermediate_size=config["intermediate_size"], num_hidden_layers=config["block_count"],
        num_attention_heads=config["head_count"], num_key_value_heads=config["kv_head_count"],
        head_dim=config["head_size"], max_position_embeddings=config["context_length"],
        tie_word_embeddings=config["tied_head"]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, betas=(0.9, 0.95), weight_decay=0.01, fused=True)
    tokens = torch.randint(config["vocabulary_size"], (batch, length + 1))
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"tokens_per_second": batch * length / statistics.median(seconds[1:]), "peak_bytes": peak}))


def ours(arguments):
    tokens = arguments.steps * arguments.batch * arguments.length
    method = (f"heal:data={arguments.text},kd=0,lr=1e-5,batch={arguments.batch},length={arguments.length},"
              f"tokens={tokens}@all")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([arguments.tnbench, "run", "--model", arguments.model, "--method", method, "--phases", "compress",
                        "--no-base", "--db", folder + "/results.db", "--artefacts", folder, "--threads",
                        str(arguments.threads)], check=True, stdout=subprocess.DEVNULL)
        database = sqlite3.connect(folder + "/results.db")
        detail, = database.execute("SELECT detail FROM stage WHERE text LIKE 'heal%'").fetchone()
        config, = database.execute("SELECT config FROM model").fetchone()
    curve = json.loads(detail)["curve"]
    parts = ("data_seconds", "forward_seconds", "backward_seconds", "optimizer_seconds")
    seconds = [sum(step) for step in zip(*(curve[part] for part in parts))]
    speed = arguments.batch * arguments.length / statistics.median(seconds[1:])
    return {"tokens_per_second": speed, "peak_bytes": curve["peak_bytes"][-1]}, json.loads(config)


def main():
    if sys.argv[1:2] == ["--theirs"]:
        theirs(json.loads(sys.argv[2]), *map(int, sys.argv[3:]))
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("tnbench", "model", "text"):
        parser.add_argument(name)
    for name, value in (("batch", 8), ("length", 256), ("steps", 5), ("threads", 2)):
        parser.add_argument("--" + name, type=int, default=value)
    arguments = parser.parse_args()
    own, config = ours(arguments)
    output = subprocess.run([sys.executable, __file__, "--theirs", json.dumps(config)] +
                            [str(value) for value in (arguments.batch, arguments.length, arguments.steps, arguments.threads)],
                            check=True, stdout=subprocess.PIPE, text=True).stdout
    peer = json.loads(output.strip().split("\n")[-1])
    for name, numbers in (("tnbench", own), ("transformers", peer)):
        print(f"{name}: {numbers['tokens_per_second']:.1f} tokens/s, peak {numbers['peak_bytes'] / 2**20:.0f} MiB")
    print(f"ratio: {own['tokens_per_second'] / peer['tokens_per_second']:.2f} x the speed, "
          f"{own['peak_bytes'] / peer['peak_bytes']:.2f} x the memory")


main()
