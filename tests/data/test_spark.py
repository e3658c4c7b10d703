"""Logs in Spark: aggregated by Spark, and the summary that pandas gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data.test_engines import AS_OF, check_equal, make_log
from predclv import RFMSummary
from predclv.errors import DataError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def spark(spark_sessions: Any) -> Any:
    return spark_sessions.get()


def to_spark(spark: Any, log: pd.DataFrame, folder: Path) -> Any:
    """A frame whose dates know no time zone, read from Parquet."""
    log.to_parquet(folder / "log.parquet", index=False)
    frame = spark.read.parquet(str(folder / "log.parquet"))
    assert dict(frame.dtypes)["date"] == "timestamp_ntz"
    return frame


def test_a_million_rows(spark: Any, tmp_path: Path) -> None:
    log = make_log(1_000_000)[["customer_id", "date", "amount"]]
    frame = to_spark(spark, log, tmp_path)
    asked = {"amount": "amount", "observation_end": AS_OF, "returns": "ignore", "minor_unit": 0.01}
    found, expected = (RFMSummary.from_transactions(rows, **asked) for rows in (frame, log))
    check_equal(found, expected, exact=True)


def test_policies(spark: Any, tmp_path: Path) -> None:
    log = make_log(2_000)
    log["day"] = log["date"].dt.strftime("%d/%m/%Y")
    frame = to_spark(spark, log, tmp_path)
    asked = {"date": "day", "date_format": "%d/%m/%Y", "regularity": True, "carry": ["channel"], "collapse": "month"}
    found, expected = (
        RFMSummary.from_transactions(rows, amount="amount", observation_end=AS_OF, **asked) for rows in (frame, log)
    )
    assert found.log_itt is not None
    np.testing.assert_allclose(found.log_itt, expected.log_itt, rtol=1e-12)
    check_equal(*(replace(rfm, log_itt=None) for rfm in (found, expected)))
    with pytest.raises(DataError, match=r"no multiple of minor_unit=1 for [\d,]+ of 2,000 rows \(first: customer \d+"):
        RFMSummary.from_transactions(frame, amount="amount", minor_unit=1, observation_end=AS_OF)


def test_timestamps_that_know_their_zone(spark: Any) -> None:
    log = make_log(200)[["customer_id", "date"]]
    utc = log.assign(date=log["date"].dt.tz_localize("UTC"))
    frame = spark.createDataFrame(pa.Table.from_pandas(utc, preserve_index=False))
    assert dict(frame.dtypes)["date"] == "timestamp"
    with pytest.raises(DataError, match="knows time zones"):
        RFMSummary.from_transactions(frame, observation_end=AS_OF)
    asked = {"time_zone": "Asia/Tokyo", "observation_end": AS_OF, "observation_start": "2022-01-01"}
    found, expected = (RFMSummary.from_transactions(rows, **asked) for rows in (frame, utc))
    pd.testing.assert_frame_equal(found.to_pandas(), expected.to_pandas())
    native = found.to_native()
    assert native.sparkSession is spark
    assert native.count() == len(expected)
