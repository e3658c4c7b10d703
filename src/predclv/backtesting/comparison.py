"""Metrics of a method with their intervals, and their differences from those of another."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.backtesting.bootstrap import find_interval
from predclv.backtesting.metrics import Tally, compute_metrics, loss_of

__all__ = ["Scored"]

FloatArray = NDArray[np.float64]

# Groups of fewer customers, at each cut-off, have no intervals.
_FEWEST = 20
# Relative differences up to this are those of where two optimisers of one likelihood stop, or of sums in another order:
# no resampling makes them noise, and nobody can use them.
_ROUNDING = 1e-5
# Noise can only add to these, and a resample has it twice.
_SHIFTED = ("pit_ks", "reliability")


class Scored:
    """Metrics of a tally.

    Parameters
    ----------
    tally : Tally
    level : float
        Probability of intervals.

    Attributes
    ----------
    metrics, labels : list of str
    values : (n_groups, n_metrics, 1 + n_resamples) array
        Those of the data first.
    """

    def __init__(self, tally: Tally, level: float) -> None:
        found = compute_metrics(tally)
        self.tally, self.level = tally, level
        self.metrics, self.labels = list(found), tally.labels
        for metric in _SHIFTED:
            if metric in found:
                found[metric] = _shifted(found[metric])
        self.values = np.stack(list(found.values()), axis=1)

    def table(self) -> pd.DataFrame:
        """Group, metric, customers, value, low, high: a row for each group and metric, and columns for a comparison."""
        n_groups, n_metrics = self.values.shape[:2]
        low, high = self._interval(self.values)
        for metric in _SHIFTED:
            if metric in self.metrics:
                low[:, self.metrics.index(metric)] = np.maximum(low[:, self.metrics.index(metric)], 0.0)
        return pd.DataFrame(
            {
                "group": np.repeat(np.array(self.labels, dtype=object), n_metrics),
                "metric": np.tile(np.array(self.metrics, dtype=object), n_groups),
                "customers": np.repeat(self.tally.customers, n_metrics),
                "value": self._value().ravel(),
                "low": low.ravel(),
                "high": high.ravel(),
                "difference": np.nan,
                "difference_low": np.nan,
                "difference_high": np.nan,
                "verdict": "",
            }
        )

    def compare(self, reference: Scored) -> pd.DataFrame:
        """Group, metric, difference, difference_low, difference_high, verdict, of what both have."""
        labels = [label for label in self.labels if label in reference.labels]
        metrics = [metric for metric in self.metrics if metric in reference.metrics]
        own, others = self._take(labels, metrics), reference._take(labels, metrics)
        with np.errstate(invalid="ignore"):
            low, high = own._interval(own.values - others.values)
            difference = own._value() - others._value()
        return pd.DataFrame(
            {
                "group": np.repeat(np.array(labels, dtype=object), len(metrics)),
                "metric": np.tile(np.array(metrics, dtype=object), len(labels)),
                "difference": difference.ravel(),
                "difference_low": low.ravel(),
                "difference_high": high.ravel(),
                "verdict": own._verdicts(others).ravel(),
            }
        )

    def _verdicts(self, reference: Scored) -> NDArray[np.object_]:
        found = np.full(self.values.shape[:2], "", dtype=object)
        for m, metric in enumerate(self.metrics):
            own, others = (loss_of(metric, scored.values[:, m]) for scored in (self, reference))
            if own is None or others is None:
                continue
            with np.errstate(invalid="ignore"):
                low, high = self._interval((own - others)[:, np.newaxis])
            rounding = _ROUNDING * np.nan_to_num(np.abs(others[:, :1]), posinf=0.0)
            told = np.select(
                [low > rounding, high < -rounding, ~np.isnan(low)], ["worse", "better", "within noise"], ""
            )
            found[:, m] = told[:, 0]
        return found

    def _take(self, labels: list[str], metrics: list[str]) -> Scored:
        if labels == self.labels and metrics == self.metrics:
            return self
        rows = np.array([self.labels.index(label) for label in labels], dtype=np.int64)
        columns = np.array([self.metrics.index(metric) for metric in metrics], dtype=np.int64)
        taken = object.__new__(Scored)
        taken.tally, taken.level = self.tally.take(rows), self.level
        taken.metrics, taken.labels = metrics, labels
        taken.values = self.values[rows][:, columns]
        return taken

    def _value(self) -> FloatArray:
        value = self.values[..., 0].copy()
        if "bias" in self.metrics:
            bias = value[:, self.metrics.index("bias")]
            bias[~np.isfinite(bias)] = np.nan
        return np.asarray(value)

    def _interval(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        low, high = find_interval(values[..., 1:], self.level)
        few = self.tally.most < _FEWEST
        low[few], high[few] = np.nan, np.nan
        return low, high


def _shifted(values: FloatArray) -> FloatArray:
    """Resamples moved so that their mean is the value."""
    if values.shape[1] == 1:
        return values
    shift = values[:, :1] - values[:, 1:].mean(axis=1, keepdims=True)
    return np.concatenate([values[:, :1], values[:, 1:] + shift], axis=1)
