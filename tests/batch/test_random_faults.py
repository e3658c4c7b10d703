"""Whatever stands in a model's folder or in a batch: it is refused or set aside in words, or it is what it says."""

from __future__ import annotations

import decimal
import hashlib
import json
import math
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import predclv as pc
from batch.histories import simulated
from predclv.batch.rows import REASONS
from predclv.batch.scorer import Scorer
from predclv.errors import DataError, ModelFileError

ASKED = {"horizon": "26 weeks", "columns": ["p_alive", "expected_purchases", "expected_clv"]}
GOOD = simulated(3, seed=11)
COLUMNS = ["customer_id", "frequency", "recency", "T", "monetary_value"]

THOUSANDS = settings(
    max_examples=6_000,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FEW = settings(THOUSANDS, max_examples=50)

# What a hand or a program might write into a manifest.
VALUES = st.one_of(
    st.sampled_from(
        [
            None,
            True,
            "",
            "x",
            "../../etc/passwd",
            "/etc/passwd",
            "__import__('os').system('true')",
            "bg_nbd",
            "1997-13-45",
        ]
    ),
    st.sampled_from([-1, 0, 1, 2**63, 10**400, 1e308, -1e-308, math.nan, math.inf, [], {}, [[]], [1.0], {"a": 1}]),
    st.floats(),
    st.integers(),
    st.text(max_size=5),
)


def paths(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Where there is something in a manifest."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, part in inner for found in paths(part, (*path, key)))]


class Folder:
    """A saved model to damage, and what it was."""

    def __init__(self, model: Path, place: Path) -> None:
        shutil.copytree(model, place)
        self.place = place
        self.text = (place / "model.json").read_text()
        self.draws = {path.name: path.read_bytes() for path in place.glob("*.parquet")}
        self.paths = paths(json.loads(self.text))[1:]

    def write(self, text: str) -> None:
        (self.place / "model.json").write_text(text, encoding="utf-8", errors="surrogatepass")

    def damage(self, which: int, change: str, value: object) -> None:
        """Put a value in a place of the manifest, or leave the place out, or give it to another one."""
        manifest = json.loads(self.text)
        *way, last = self.paths[which % len(self.paths)]
        inner = manifest
        for key in way:
            inner = inner[key]
        if change == "remove":
            del inner[last]
        elif change == "wrap":
            inner[last] = [inner[last]]
        elif change == "add" and isinstance(inner, dict):
            inner[str(value)] = value
        else:
            inner[last] = value
        self.write(json.dumps(manifest))

    def damage_draws(self, name: str, places: list[int], byte: int, length: int) -> None:
        """Put other bytes into a table of draws, or cut it, with a checksum that says that it is whole."""
        content = bytearray(self.draws[name])
        for place in places:
            content[place % len(content)] = byte
        content = content[: len(content) - length % len(content)]
        (self.place / name).write_bytes(content)
        manifest = json.loads(self.text)
        manifest["files"][name] = hashlib.sha256(content).hexdigest()
        self.write(json.dumps(manifest))

    def mend(self, *names: str) -> None:
        """Write the manifest as it was, and the draws of these names."""
        self.write(self.text)
        for name in names:
            (self.place / name).write_bytes(self.draws[name])


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    return Folder(model, tmp_path_factory.mktemp("damaged") / "model")


def loads_or_says_why(folder: Folder) -> None:
    """A model that loads forecasts, or says in words why not."""
    beside = sorted(folder.place.parent.iterdir())
    with suppress(ModelFileError, DataError):
        check_scores(*Scorer(pc.load(folder.place), **ASKED).split(GOOD), GOOD.num_rows)
    assert sorted(folder.place.parent.iterdir()) == beside


def check_scores(scores: pa.Table, rest: pa.Table, n: int) -> None:
    assert scores.num_rows + rest.num_rows == n
    p_alive = scores["p_alive"].to_numpy()
    assert ((p_alive >= 0) & (p_alive <= 1)).all()
    for name in ("expected_purchases", "expected_clv"):
        values = scores[name].to_numpy()
        assert (values >= 0).all(), values
    assert set(rest["reason"].to_pylist()) <= set(REASONS[1:])


def throw_manifests(folder, which, change, value):
    try:
        folder.damage(which, change, value)
        loads_or_says_why(folder)
    finally:
        folder.mend()


def throw_draws(folder, name, places, byte, length):
    try:
        folder.damage_draws(name, places, byte, length)
        loads_or_says_why(folder)
    finally:
        folder.mend(name)


MANIFESTS = given(st.integers(0, 10_000), st.sampled_from(["set", "remove", "wrap", "add"]), VALUES)
DRAWS = given(
    st.sampled_from(["transactions.parquet", "spend.parquet"]),
    st.lists(st.integers(0, 10**6), max_size=6),
    st.integers(0, 255),
    st.sampled_from([0, 0, 0, 1, 4, 8, 100, 10_000]),
)

NUMBERS = st.one_of(
    st.sampled_from([None, math.nan, math.inf, -math.inf, -0.0, -1.0, 0.5, 1e-300, 1e15, 1e300, 100_000.0, 100_001.0]),
    st.floats(0, 200),
    st.floats(),
)
OTHERS = st.sampled_from(
    [
        pa.array(["1", "x", None]),
        pa.array([True, None, False]),
        pa.array([[1], [], None]),
        pa.array([b"\xff", b"", None]),
        pa.array([None, None, None]),
        pa.array([decimal.Decimal("1.5"), decimal.Decimal("-2.0"), None]),
        pa.array([2**63 - 1, -(2**63), 0]),
        pa.array([2**64 - 1, 0, None], pa.uint64()),
        pa.array([1.0, np.float16(math.inf), None], pa.float16()),
        pa.array([1, 2, 3], pa.timestamp("us")),
        pa.array([3.0, 3.0, 7.0]).dictionary_encode(),
        pa.chunked_array([[1.0], [2.0, 3.0]]),
    ]
)
COLUMN = st.one_of(
    st.lists(NUMBERS, min_size=3, max_size=3).map(lambda v: pa.array(v, pa.float64())), OTHERS, st.none()
)
BATCHES = given(st.dictionaries(st.sampled_from(COLUMNS), COLUMN, min_size=1, max_size=3))


@pytest.fixture(scope="module")
def scorer(model):
    return Scorer(pc.load(model), **ASKED)


def throw_batch(scorer, changes):
    table = GOOD
    for name, column in changes.items():
        place = table.schema.get_field_index(name)
        table = table.remove_column(place) if column is None else table.set_column(place, name, column)
    before = scorer.n_scored, scorer.rejected.total()
    try:
        scores, rest = scorer.split(table)
    except DataError:
        assert (scorer.n_scored, scorer.rejected.total()) == before
        return
    check_scores(scores, rest, 3)
    assert (scorer.n_scored, scorer.rejected.total()) == (before[0] + scores.num_rows, before[1] + rest.num_rows)
    assert rest.drop_columns(["reason"]).schema == table.schema


test_damaged_manifests = FEW(MANIFESTS(throw_manifests))
test_damaged_draws = FEW(DRAWS(throw_draws))
test_malformed_batches = FEW(BATCHES(throw_batch))
test_thousands_of_damaged_manifests = pytest.mark.slow(
    settings(THOUSANDS, max_examples=3_000)(MANIFESTS(throw_manifests))
)
test_thousands_of_damaged_draws = pytest.mark.slow(settings(THOUSANDS, max_examples=1_000)(DRAWS(throw_draws)))
test_thousands_of_malformed_batches = pytest.mark.slow(THOUSANDS(BATCHES(throw_batch)))
