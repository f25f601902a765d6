"""Makes product_golden.json: mean squared errors of the releases' PQ and QET on one matrix.

    python3 product_golden.py > product_golden.json     (numpy, scipy)

pq() and qet() follow pq.py, qet_vanilla.py and qet.py of QET-release/QET-release (October 2024). The matrix comes from
a formula that product_test.cc repeats.
"""
import json

import numpy as np
from scipy.cluster.vq import kmeans2, vq

ROWS, COLS = 2048, 32


def matrix():
    with np.errstate(over="ignore"):
        h = np.arange(4 * ROWS * COLS, dtype=np.uint32)
        h ^= h >> np.uint32(16)
        h *= np.uint32(0x85EBCA6B)
        h ^= h >> np.uint32(13)
        h *= np.uint32(0xC2B2AE35)
        h ^= h >> np.uint32(16)
    return (h.astype(np.float64) / 2.0**31 - 1.0).reshape(ROWS, COLS, 4).sum(2).astype(np.float32)


def fit(x, m, ks):
    size = x.shape[1] // m
    return np.stack([kmeans2(x[:, i * size:(i + 1) * size], ks, iter=20, minit="points", seed=123)[0] for i in range(m)])


def decode(x, words):
    m, _, size = words.shape
    return np.hstack([words[i][vq(x[:, i * size:(i + 1) * size], words[i])[0]] for i in range(m)])


def ks_for(n, d, m, budget, entry_bits, fixed_bits):
    low, high = 1, n
    while low < high - 1:
        mid = (low + high) // 2
        total = (mid * d * entry_bits + fixed_bits + n * m * (mid - 1).bit_length() + 7) // 8
        low, high = (mid, high) if total <= budget else (low, mid)
    return low


def tree(x, layers):
    if layers == 0:
        return x, []
    left, right = x[:, ::2], x[:, 1::2]
    small, small_maps = tree(np.minimum(left, right), layers - 1)
    large, large_maps = tree(np.maximum(left, right), layers - 1)
    return np.hstack([small, large]), [left < right] + [np.hstack(p) for p in zip(small_maps, large_maps)]


def untree(x, maps):
    if not maps:
        return x
    half = x.shape[1] // 2
    small = untree(x[:, :half], [m[:, :m.shape[1] // 2] for m in maps[1:]])
    large = untree(x[:, half:], [m[:, m.shape[1] // 2:] for m in maps[1:]])
    out = np.empty_like(x)
    out[:, ::2] = np.where(maps[0], small, large)
    out[:, 1::2] = np.where(maps[0], large, small)
    return out


def qet(x, m, budget, layers, rates=(0.7, 0.3), bits=10):
    n, d = x.shape
    memory = (budget * 8 - n * d * 0.5 * sum(layers)) // 8
    rest, total, sizes = x, np.zeros_like(x), []
    for layer, rate in zip(layers, rates):
        ks = ks_for(n, d, m, int(memory * rate), bits, 64)
        turned, maps = tree(rest, layer)
        words = fit(turned, m, ks)
        step = (words.max() - words.min()) / (2**bits - 1)
        words = np.clip(np.round((words - words.min()) / step), 0, 2**bits - 1) * step + words.min()
        part = untree(decode(turned, words), maps)
        total, rest = total + part, rest - part
        sizes.append(ks)
    return float(np.mean((x - total)**2)), sizes


def main():
    x = matrix()
    cases = []
    for bits in (3, 4, 5):
        budget = bits * ROWS * COLS // 8
        for m in (8, 16):
            ks = ks_for(ROWS, COLS, m, budget, 16, 0)
            error = float(np.mean((decode(x, fit(x, m, ks)) - x)**2))
            cases.append({"method": "pq", "bits": bits, "M": m, "words": [ks], "mse": error})
            for layers in ((3, 0), (1, 0)):
                error, sizes = qet(x, m, budget, layers)
                cases.append({"method": "qet", "bits": bits, "M": m, "layers": layers, "words": sizes, "mse": error})
    print(json.dumps({"variance": float(x.var()), "cases": cases}, indent=1))


main()
