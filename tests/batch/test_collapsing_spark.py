"""Spark groups a table of customers as every other engine does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batch.test_collapsing import customers
from predclv.batch import collapse_customers
from predclv.errors import DataError


@pytest.mark.slow
def test_rows_are_those_of_pandas(spark_sessions: Any, tmp_path: Path) -> None:
    table = customers(n=600)
    table.to_parquet(tmp_path / "a.parquet", index=False)
    frame = spark_sessions.get().read.parquet(str(tmp_path / "a.parquet"))
    rfm = collapse_customers(frame, by=["channel"], time_unit="week")
    wanted = collapse_customers(table, by=["channel"], time_unit="week")
    pd.testing.assert_frame_equal(rfm.to_pandas(), wanted.to_pandas(), check_dtype=False, check_exact=True)
    coarse = collapse_customers(frame, time_unit="week", time_step="10 days", spend_step=0.1)
    assert len(coarse) < len(rfm) / 2
    assert coarse.n_customers == 600
    assert (coarse.recency <= coarse.T).all()
    # What was kept for several passes is let go.
    assert spark_sessions.get().sparkContext._jsc.getPersistentRDDs().isEmpty()
    table.loc[[7, 9], "T"] = float("nan")
    table.to_parquet(tmp_path / "b.parquet", index=False)
    with pytest.raises(DataError, match=r"'T' is null or not finite: 2 of 600 customers \(first: customer 8"):
        collapse_customers(spark_sessions.get().read.parquet(str(tmp_path / "b.parquet")), time_unit="week")
