"""A 4096 x 4096 Gaussian matrix to a two-core matrix product operator of bond 200: tnbench, TensorLy, LibTorch.

    python3 compare_tensorly.py BENCHMARK_TRUNCATION [--rounds 3 --threads 2]

BENCHMARK_TRUNCATION is build/release/tests/benchmarks/benchmark_truncation. TensorLy decomposes with its tensor_train_matrix and
the full singular value decomposition of torch; LibTorch's own best are torch.linalg.svd and torch.svd_lowrank, cut to the same
bond. Every round runs all of them one after the other, so that a busy machine slows all; each runs in a process of its own, and
the clock starts when the matrix is there. Errors are relative to the least possible one. (tensorly 0.10, torch 2.13)
"""

import argparse
import json
import statistics
import subprocess
import sys

SIZE, LEG, BOND = 4096, 64, 200


def rearranged(w):
    """[(o1 o2), (i1 i2)] -> [(o1 i1), (o2 i2)]: its singular values are those of the cut."""
    return w.reshape(LEG, LEG, LEG, LEG).permute(0, 2, 1, 3).reshape(SIZE, SIZE)


def theirs(name, threads):
    import time

    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    w = torch.randn(SIZE, SIZE)
    total = w.double().square().sum().item()
    start = time.perf_counter()
    if name == "tensorly":
        import tensorly
        from tensorly.decomposition import tensor_train_matrix

        tensorly.set_backend("pytorch")
        # TensorLy wants [o1, o2, i1, i2].
        cores = tensor_train_matrix(w.reshape(LEG, LEG, LEG, LEG), rank=[1, BOND, 1])
        seconds = time.perf_counter() - start
        a, b = (core.double() for core in cores.factors)
        approximation = torch.einsum("xoir,rpjy->opij", a, b).reshape(SIZE, SIZE)
        lost = (w.double() - approximation).square().sum().item()
    else:
        matrix = rearranged(w)
        if name == "linalg.svd":
            u, s, v = torch.linalg.svd(matrix, full_matrices=False)
            u, right = u[:, :BOND], s[:BOND, None] * v[:BOND]
        else:
            q, rounds = (int(part) for part in name.split()[1:])
            u, s, v = torch.svd_lowrank(matrix, q=q, niter=rounds)
            u, right = u[:, :BOND], s[:BOND, None] * v[:, :BOND].T
        seconds = time.perf_counter() - start
        lost = (matrix.double() - u.double() @ right.double()).square().sum().item()
    print(json.dumps({"seconds": seconds, "error": (lost / total) ** 0.5}))


def ours(benchmark, threads):
    out = subprocess.run([benchmark, "--benchmark_filter=^Mpo", "--benchmark_format=json", "--benchmark_min_time=0.1"],
                         check=True, capture_output=True, text=True, env={"OMP_NUM_THREADS": str(threads)})
    result = json.loads(out.stdout)["benchmarks"][0]
    assert result["time_unit"] == "s", result
    return {"seconds": result["real_time"], "error": result["relative_error"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        return theirs(arguments.only, arguments.threads)
    names = ["tnbench", "tensorly", "linalg.svd", "svd_lowrank 200 2", "svd_lowrank 210 4"]
    results = {name: [] for name in names}
    for _ in range(arguments.rounds):
        for name in names:
            if name == "tnbench":
                results[name].append(ours(arguments.benchmark, arguments.threads))
                continue
            out = subprocess.run([sys.executable, __file__, arguments.benchmark, "--only", name, "--threads",
                                  str(arguments.threads)], check=True, capture_output=True, text=True)
            results[name].append(json.loads(out.stdout))
    # Full decompositions are optimal.
    least = min(result["error"] for result in results["linalg.svd"])
    mine = statistics.median(result["seconds"] for result in results["tnbench"])
    print("| program | seconds | times tnbench's | error above the least |\n|---|---|---|---|")
    for name in names:
        seconds = [result["seconds"] for result in results[name]]
        error = statistics.median(result["error"] for result in results[name])
        print(f"| {name} | {statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f}) | "
              f"{statistics.median(seconds) / mine:.2f} | {100 * (error / least - 1):.2f} % |")
    print(f"\n{arguments.rounds} rounds, {arguments.threads} threads; medians (least to most)")


if __name__ == "__main__":
    main()
