"""make_statistics_golden.py > statistics_golden.json: expected values of the statistics, by SciPy and statsmodels.

Tango's restricted score has no implementation there: the restricted likelihood is maximized numerically instead of
by the closed form that is tested.
"""

import json
import sys

import numpy as np
import scipy
import statsmodels
import statsmodels.api as sm
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

rng = np.random.default_rng(7)


def tango(lost, gained, n, difference):
    """Score of the hypothesis that p(gained) - p(lost) = difference."""
    def loss(p_lost):
        p = np.array([p_lost, p_lost + difference, 1 - 2 * p_lost - difference])
        k = np.array([lost, gained, n - lost - gained])
        return -np.sum(stats.multinomial.logpmf(k, n, p)) if np.all(p > 0) else np.inf
    low, high = max(0.0, -difference), (1 - difference) / 2
    best = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13})
    variance = n * (2 * best.x + difference - difference**2)
    return float((gained - lost - n * difference) / np.sqrt(variance))


def permutation(values):
    result = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    return float(result.pvalue)


def clusters():
    sizes = [3, 1, 4, 2, 5, 1, 2]
    labels = np.repeat(np.arange(len(sizes)), sizes)
    values = np.round(rng.normal(size=len(labels)) + rng.normal(size=len(sizes))[labels], 3)
    fit = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": labels})
    return {"values": values.tolist(), "clusters": [str(label) for label in labels], "se": float(fit.bse[0])}


def times():
    first = np.round(np.exp(rng.normal(0, 0.1, 9)), 6)
    second = np.round(1.08 * np.exp(rng.normal(0, 0.1, 12)), 6)
    ratio = stats.bootstrap((first, second), lambda a, b, axis=-1: np.median(b, axis) / np.median(a, axis),
                            method="percentile", n_resamples=200000, rng=1).confidence_interval
    return {"first": first.tolist(), "second": second.tolist(),
            "p": float(stats.mannwhitneyu(first, second, method="exact").pvalue),
            "shifted_p": float(stats.mannwhitneyu(first * 1.5, second, method="exact").pvalue),
            "interval": [float(ratio.low), float(ratio.high)]}


def scores():
    first = np.round(rng.uniform(size=40), 3)
    second = np.round(np.clip(first + rng.normal(0.02, 0.06, 40), 0, 1), 3)
    difference = second - first
    mean = stats.bootstrap((difference,), np.mean, method="percentile", n_resamples=200000, rng=2).confidence_interval
    few = difference[:11]
    return {"first": first.tolist(), "second": second.tolist(), "se": float(stats.sem(difference)),
            "interval": [float(mean.low), float(mean.high)],
            "tost_0.03": float(ttost_paired(second, first, -0.03, 0.03)[0]), "permutation_11": permutation(few)}


p_values = [0.01, 0.04, 0.03, 0.005, 0.7, 0.03]
golden = {
    "versions": {"python": sys.version.split()[0], "scipy": scipy.__version__, "statsmodels": statsmodels.__version__,
                 "numpy": np.__version__},
    "mcnemar": [[b, c, float(mcnemar([[50, b], [c, 50]], exact=True).pvalue)]
                for b, c in [(10, 3), (30, 12), (60, 40), (120, 80), (5, 5), (0, 6), (1, 0), (300, 410)]],
    "tango": [[b, c, n, d, tango(b, c, n, d)] for b, c, n in [(12, 5, 100), (3, 9, 40), (40, 61, 1000), (1, 7, 20)]
              for d in (-0.2, -0.05, -0.01, 0.01, 0.05, 0.3)],
    "wilson": [[k, n, *map(float, proportion_confint(k, n, method="wilson"))]
               for k, n in [(0, 10), (8, 10), (263, 500), (1172, 1172)]],
    "holm": {"p": p_values, "adjusted": multipletests(p_values, method="holm")[1].tolist()},
    "clusters": clusters(),
    "times": times(),
    "scores": scores(),
}
json.dump(golden, sys.stdout, indent=1)
print()
