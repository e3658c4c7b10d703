"""One model on disk and one table to score for all tests of jobs."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

import predclv as pc
from batch.histories import fit, simulated


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    fit(pc.CLV(), simulated(500, seed=2)).save(folder)
    return folder


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    """A folder of two Parquet files, of 700 and 500 rows."""
    folder = tmp_path_factory.mktemp("tables") / "rows"
    folder.mkdir()
    rows = simulated(1200, seed=5)
    pq.write_table(rows.slice(0, 700), folder / "a.parquet", row_group_size=250)
    pq.write_table(rows.slice(700), folder / "b.parquet", row_group_size=250)
    return folder
