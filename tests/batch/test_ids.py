"""Ids that come more than once are found exactly, whatever their type and however little memory there is."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from predclv.batch import ids
from predclv.batch.ids import hash_ids, repeated_ids
from predclv.errors import DataError


def batches(column: pa.Array, size: int):
    return lambda: (column.slice(start, size) for start in range(0, len(column), size))


COLUMNS = {
    "whole numbers": (pa.array([1, 2, None, 3, 2, -1, None, 2**63 - 1]), [2]),
    "small ones": (pa.array([1, 2, 255, 2], pa.uint8()), [2]),
    "text": (pa.array(["a", "", "b", None, "ab", "", "ä", "a "]), [""]),
    "bytes": (pa.array([b"a", b"\x00", b"\x00", None]), [b"\x00"]),
    "dates": (pa.array([dt.date(2024, 1, 1), dt.date(2024, 1, 2), dt.date(2024, 1, 1)]), [dt.date(2024, 1, 1)]),
    "decimals": (pa.array([Decimal("1.10"), Decimal("1.20"), Decimal("1.10")]), [Decimal("1.10")]),
    "floats": (pa.array([0.5, 1.5, 0.5]), [0.5]),
    "none twice": (pa.array(["x", "y", None, None]), None),
    "nothing": (pa.array([], pa.string()), None),
    "nulls alone": (pa.array([None, None], pa.int64()), None),
}


@pytest.mark.parametrize(("column", "expected"), COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_repeated_ids(column, expected, size):
    found = repeated_ids(batches(column, size), len(column))
    assert (None if found is None else found.to_pylist()) == expected
    if found is not None:
        assert found.type == column.type


def test_a_share_of_the_hashes_at_a_time(monkeypatch):
    rng = np.random.default_rng(3)
    values = rng.permutation(np.r_[np.arange(5000), np.arange(100)])
    monkeypatch.setattr(ids, "MOST_HASHES", 700)
    found = repeated_ids(batches(pa.array(values), 999), len(values))
    assert sorted(found.to_pylist()) == list(range(100))
    monkeypatch.setattr(ids, "MOST_REPEATED", 99)
    with pytest.raises(DataError, match="More than 99 values of 'customer_id' come more than once"):
        repeated_ids(batches(pa.array(values), 999), len(values))


def test_ids_that_share_a_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(ids, "hash_ids", lambda column: hash_ids(column) % np.uint64(4))
    found = repeated_ids(batches(pa.array(["a", "b", "c", "d", "e", "f", "c"]), 2), 7)
    assert found.to_pylist() == ["c"]


def test_hashes_differ():
    whole = hash_ids(pa.array(np.arange(200_000)))
    text = hash_ids(pa.array(np.arange(200_000)).cast(pa.string()))
    assert len(np.unique(whole)) == len(np.unique(text)) == 200_000
    # Each bit is set in half of them: six standard deviations.
    for hashes in (whole, text):
        shares = [np.mean((hashes >> np.uint64(bit)) & np.uint64(1)) for bit in range(64)]
        assert np.abs(np.array(shares) - 0.5).max() < 6 * 0.5 / np.sqrt(200_000)
