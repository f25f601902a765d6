"""Makes prune_golden.json: what the releases of SparseGPT and Wanda do to one small matrix.

    python3 prune_golden.py > prune_golden.json     (torch 2.13)

sparsegpt() follows SparseGPT.fasterprune (IST-DASLab/sparsegpt, sparsegpt.py), wanda() prune_wanda (locuslab/wanda,
lib/prune.py), line by line, without the model around them.
"""
import json

import torch

ROWS, COLS, BLOCK, RIDGE = 6, 24, 16, 0.01


def sparsegpt(W, H, sparsity, prunen=0, prunem=0):
    W, H = W.clone(), H.clone()
    dead = torch.diag(H) == 0
    H[dead, dead] = 1
    W[:, dead] = 0
    diag = torch.arange(COLS)
    H[diag, diag] += RIDGE * torch.mean(torch.diag(H))
    Hinv = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(H)), upper=True)
    for i1 in range(0, COLS, BLOCK):
        i2 = min(i1 + BLOCK, COLS)
        count = i2 - i1
        W1 = W[:, i1:i2].clone()
        Q1, Err1 = torch.zeros_like(W1), torch.zeros_like(W1)
        Hinv1 = Hinv[i1:i2, i1:i2]
        if prunen == 0:
            tmp = W1**2 / (torch.diag(Hinv1).reshape((1, -1)))**2
            thresh = torch.sort(tmp.flatten())[0][int(tmp.numel() * sparsity) - 1]
            mask1 = tmp <= thresh
        else:
            mask1 = torch.zeros_like(W1) == 1
        for i in range(count):
            w, d = W1[:, i], Hinv1[i, i]
            if prunen != 0 and i % prunem == 0:
                tmp = W1[:, i:(i + prunem)]**2 / (torch.diag(Hinv1)[i:(i + prunem)].reshape((1, -1)))**2
                mask1.scatter_(1, i + torch.topk(tmp, prunen, dim=1, largest=False)[1], True)
            q = w.clone()
            q[mask1[:, i]] = 0
            Q1[:, i] = q
            err1 = (w - q) / d
            W1[:, i:] -= err1.unsqueeze(1).matmul(Hinv1[i, i:].unsqueeze(0))
            Err1[:, i] = err1
        W[:, i1:i2] = Q1
        W[:, i2:] -= Err1.matmul(Hinv[i1:i2, i2:])
    return W


def wanda(W, H, sparsity, prune_n=0, prune_m=0):
    metric = torch.abs(W) * torch.sqrt(torch.diag(H).reshape((1, -1)))
    mask = torch.zeros_like(metric) == 1
    if prune_n != 0:
        for ii in range(0, metric.shape[1], prune_m):
            tmp = metric[:, ii:(ii + prune_m)]
            mask.scatter_(1, ii + torch.topk(tmp, prune_n, dim=1, largest=False)[1], True)
    else:
        order = torch.sort(metric, dim=-1, stable=True)[1]
        mask.scatter_(1, order[:, :int(metric.shape[1] * sparsity)], True)
    W = W.clone()
    W[mask] = 0
    return W


def numbers(matrix):
    return [round(value, 8) for value in matrix.flatten().tolist()]


def main():
    generator = torch.Generator().manual_seed(7)
    w = torch.randn(ROWS, COLS, generator=generator, dtype=torch.float64)
    x = torch.randn(200, COLS, generator=generator, dtype=torch.float64)
    x = x @ torch.randn(COLS, COLS, generator=generator, dtype=torch.float64) * torch.logspace(0.5, -1, COLS)
    x[:, 5] = 0
    h = x.T @ x / 200
    cases = {}
    for name, sparsity, n, m in (("unstructured", 0.5, 0, 0), ("2:4", 0, 2, 4), ("4:8", 0, 4, 8)):
        cases[name] = {"sparsegpt": numbers(sparsegpt(w, h, sparsity, n, m)),
                       "wanda": numbers(wanda(w, h, sparsity, n, m))}
    print(json.dumps({"rows": ROWS, "cols": COLS, "w": numbers(w), "h": numbers(h), "cases": cases}))


main()
