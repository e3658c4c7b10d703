"""Ranks of the truth among draws: simulation-based calibration, its tests and its histograms.

Talts, Betancourt, Simpson, Vehtari & Gelman (2018), arXiv 1804.06788: truth from the prior, data from the truth, and
the rank of the truth among independent draws of the posterior is even on 0, ..., n_draws.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["p_values", "place", "plot_ranks", "thin"]

FloatArray = NDArray[np.float64]
N_BINS = 20


def thin(chains: FloatArray, effective: float) -> FloatArray:
    """Keep draws so far apart that they are as good as independent, (n, n_parameters) of (n_chains, n_draws, ...).

    `effective` is the least effective sample size: with one effective draw in k, every third k is kept, where
    the autocorrelation exp(-2 lag / k) of a chain that forgets evenly is below 0.3 %.
    """
    n_chains, n_draws, _ = chains.shape
    step = max(int(np.ceil(3 * n_chains * n_draws / effective)), 1)
    return chains[:, ::step].reshape(-1, chains.shape[-1])


def place(draws: FloatArray, truth: float, rng: np.random.Generator) -> float:
    """Where the truth lies among draws (n,), in (0, 1): its rank, made continuous within its bin."""
    return float((np.sum(draws < truth) + rng.random()) / (len(draws) + 1))


def p_values(places: FloatArray) -> dict[str, float]:
    """Whether places (n_simulations,) are even: everywhere, by bin, between the middle and the ends, and as scores.

    The normal scores of even places are normal: their mean tells of a shift, and their sum of squares of a width, with
    a third fewer simulations than the others take.
    """
    # Ten or so a bin, which the chi-squared distribution needs.
    counts = np.histogram(places, bins=min(N_BINS, len(places) // 10), range=(0, 1))[0]
    central = int(np.sum(np.abs(places - 0.5) < 0.4))
    scores = stats.norm.ppf(places)
    square = stats.chi2(len(places)).cdf(np.sum(scores**2))
    return {
        "distance (KS)": float(stats.kstest(places, "uniform").pvalue),
        "bins (chi-squared)": float(stats.chisquare(counts).pvalue),
        "central 80 %": float(stats.binomtest(central, len(places), 0.8).pvalue),
        "shift": float(2 * stats.norm.sf(abs(np.sum(scores)) / np.sqrt(len(places)))),
        "width": float(2 * min(square, 1 - square)),
    }


def plot_ranks(places: FloatArray, names: list[str]):
    """Histograms of places (n_simulations, n_quantities), each with the band that holds 99 % of even bins."""
    from matplotlib.figure import Figure

    n_columns = min(len(names), 4)
    figure = Figure(figsize=(3 * n_columns, 2.2 * -(-len(names) // n_columns)), layout="constrained")
    axes = figure.subplots(-(-len(names) // n_columns), n_columns, squeeze=False).ravel()
    low, high = stats.binom.ppf([0.005, 0.995], len(places), 1 / N_BINS)
    for ax, column, name in zip(axes, np.transpose(places), names, strict=False):
        ax.axhspan(low, high, color="0.85")
        ax.hist(column, bins=N_BINS, range=(0, 1))
        ax.set_title(name)
    for ax in axes[len(names) :]:
        ax.remove()
    return figure
