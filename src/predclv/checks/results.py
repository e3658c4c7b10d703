"""What a check gives: a table to draw, and where the data stand among replications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from predclv.forecast.predictive_checks import Quantity, compare

__all__ = ["PredictiveCheck"]

# With so small a p-value a quantity is named in the one-line description.
_NOTABLE = 0.05


@dataclass(frozen=True, eq=False, repr=False)
class PredictiveCheck:
    """The data beside replications of it: what other customers of the same ages (or counts) would have done.

    A replication draws parameters from the posterior and simulates every customer anew, so a band holds the parameters'
    uncertainty, which customers one happens to have, and chance.

    Attributes
    ----------
    table : DataFrame
        One row a bin, group or period, with actual, expected, low, high.
    p_values : DataFrame
        One row a test quantity: quantity, observed, expected (mean over the replications), low, high (their
        equal-tailed interval at `level`), p_value, share_above, sides. `share_above` is the Bayesian p-value of
        Gelman, Meng & Stern (1996): the share of the replications above the data, ties counted half, the data counted
        as one replication more. `p_value` is small where the data are unlike the replications: two-sided,
        2 min(share, 1 - share), where `sides` is 2; where it is 1, only large values speak against the model and
        `p_value` is `share_above`. With n draws it is at least about 1 / n.
    replicated : DataFrame
        One row a draw, one column a quantity: what the p-values come from. A discrepancy that depends on the
        parameters ("chi-squared" of the counts) is to be compared with the data's under the same draw.
    level : float
        Probability of the bands.
    n_customers : int
        Customers that the check speaks of.
    n_replicated : int
        How many of them were replicated: a random sample where all would take too long. Observed values of the
        p-values are then the sample's.
    """

    table: pd.DataFrame
    p_values: pd.DataFrame
    replicated: pd.DataFrame
    level: float
    n_customers: int
    n_replicated: int

    def __repr__(self) -> str:
        unlike = self.p_values[self.p_values["p_value"] < _NOTABLE]
        named = ", ".join(f"{row.quantity} (p = {row.p_value:.2g})" for row in unlike.itertuples())
        sample = "" if self.n_replicated == self.n_customers else f"{self.n_replicated:,} of "
        return (
            f"<{type(self).__name__}: {sample}{self.n_customers:,} customers, {len(self.replicated):,} replications; "
            f"{len(unlike)} of {len(self.p_values)} quantities unlike the model's{': ' + named if named else ''}>"
        )

    def _repr_html_(self) -> str:
        # The private pandas method is what a notebook calls.
        return f"<p>{self.__repr__()[1:-1]}</p>{self.p_values._repr_html_()}"  # type: ignore[operator]


def judge(quantities: Sequence[Quantity], level: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the tables `p_values` and `replicated`."""
    names = [quantity.name for quantity in quantities]
    values = np.column_stack([quantity.replicated for quantity in quantities])
    return compare(quantities, level), pd.DataFrame(values, columns=names).rename_axis(index="draw")
