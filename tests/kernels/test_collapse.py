"""Collapsing: integer and float paths agree bit for bit, and nothing of a history is lost."""

import numpy as np
import pytest

from predclv.kernels import collapse as module
from predclv.kernels.collapse import collapse


def histories(n: int = 4000, *, per_unit: float = 1.0, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Customers whose times are whole steps, `per_unit` of them a time unit."""
    rng = np.random.default_rng(seed)
    T = rng.integers(0, 90, n)
    x = np.minimum(rng.negative_binomial(0.4, 0.2, n), T)
    t_x = np.where(x > 0, rng.integers(0, T + 1), 0)
    return x.astype(float), t_x / per_unit, T / per_unit


def assert_same(ours: module.Collapsed, other: module.Collapsed) -> None:
    for name, left, right in zip(ours._fields, ours, other, strict=True):
        np.testing.assert_array_equal(left, right, err_msg=name)


@pytest.mark.parametrize("per_unit", [*module.LATTICES, 0.5], ids=str)
def test_integer_path_equals_float_path(per_unit: float) -> None:
    rows = histories(per_unit=per_unit)
    lattice = next(
        found for steps in module.LATTICES if (found := module._collapse_integers(*rows, steps, True)) is not None
    )
    assert_same(lattice, module._collapse_floats(*rows, True))
    assert_same(collapse(*rows), lattice)


def test_rows_are_numpys_unique_rows_and_give_the_customers_back() -> None:
    x, t_x, T = histories(per_unit=7)
    collapsed = collapse(x, t_x, T)
    expected, counts = np.unique(np.column_stack([x, T, t_x]), axis=0, return_counts=True)
    np.testing.assert_array_equal(np.column_stack([collapsed.x, collapsed.T, collapsed.t_x]), expected)
    np.testing.assert_array_equal(collapsed.weight, counts)
    for row, customer in zip(collapsed[:3], (x, t_x, T), strict=True):
        np.testing.assert_array_equal(row[collapsed.inverse], customer)


@pytest.mark.parametrize("per_unit", [7.0, 0.371], ids=["lattice", "floats"])
def test_without_inverse(per_unit: float) -> None:
    rows = histories(per_unit=per_unit)
    lean, full = collapse(*rows, need_inverse=False), collapse(*rows)
    assert lean.inverse is None
    assert_same(lean, full._replace(inverse=None))


def test_integer_columns_and_frozen_arrays_are_taken_as_they_are() -> None:
    x, t_x, T = histories()
    frozen = x.astype(np.int64)
    frozen.flags.writeable = False
    assert_same(collapse(frozen, t_x, T.astype(np.float32)), collapse(x, t_x, T))
    assert not frozen.flags.writeable
    assert t_x.flags.writeable


@pytest.mark.parametrize(
    ("x", "t_x", "T"),
    [
        ([1, 1, 1], [2, 2, np.nextafter(2, 3)], [5, 5, 5]),
        ([1, 1, 0], [2, 2, 1], [5, 5, 5]),
        ([1.5, 1, 1.5], [2, 2, 2], [5, 5, 5]),
        ([1, 1, 0], [2e9, 2, 0], [3e9, 5, 5]),
        ([1, -1, 0], [2, 2, 0], [5, 5, -5]),
        ([1, 1e300, 0], [2, 2, 0], [5, 5, np.inf]),
        ([0, 0, 0], [0, 0, 0], [0, 0, 0]),
        ([0, 0, 0], [0.0, -0.0, 0], [0.3, 0.1, 0.2]),
    ],
    ids=[
        "one ulp apart",
        "time without purchase",
        "half purchase",
        "long",
        "negative",
        "infinite",
        "zeros",
        "signed zero",
    ],
)
def test_odd_values_keep_their_rows(x: list[float], t_x: list[float], T: list[float]) -> None:
    rows = [np.asarray(values, dtype=float) for values in (x, t_x, T)]
    assert_same(collapse(*rows), module._collapse_floats(*rows, True))


def test_nobody() -> None:
    empty = np.empty(0)
    collapsed = collapse(empty, empty, empty)
    assert [len(part) for part in collapsed] == [0] * 5


def test_a_late_departure_from_the_lattice_is_seen() -> None:
    x, t_x, T = histories(per_unit=7, n=100_000)
    T[99_999] += 0.01
    assert_same(collapse(x, t_x, T), module._collapse_floats(x, t_x, T, True))
