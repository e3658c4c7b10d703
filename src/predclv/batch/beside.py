"""Scores beside the rows they are of, where each row must have one: null where there is a reason why there are none."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predclv.batch.scorer import Scorer

__all__ = ["score_beside"]


def score_beside(scorer: Scorer, table: pa.Table, also_rejected: NDArray[np.int16] | None = None) -> pa.Table:
    """Score a table; return "reason" and the scores, a row for each row, in their order.

    Parameters
    ----------
    scorer : Scorer
    table : pyarrow.Table
    also_rejected : (n_rows,) int16 array, optional
        As in `Scorer.split`.
    """
    numbered = pa.table({"number": np.arange(table.num_rows)})
    scores, rest = scorer.split(table, also_rejected, original=numbered)
    bad = rest["number"].to_numpy()
    reasons = np.full(table.num_rows, None, dtype=object)
    reasons[bad] = rest["reason"].to_pylist()
    good = np.ones(table.num_rows, dtype=bool)
    good[bad] = False
    place = pa.array(np.cumsum(good) - 1, mask=~good)
    columns = [scores[name].take(place) for name in scorer.schema.names]
    return pa.table([pa.array(reasons, pa.string()), *columns], names=["reason", *scorer.schema.names])
