"""One customer's row, found by id; where there is none, the ids that are near."""

from __future__ import annotations

import difflib
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.data.checks import quote_list
from predclv.errors import DataError

__all__ = ["find_rows"]

# So many ids are compared letter by letter, which takes a second; of more, those that begin alike.
_COMPARED = 20_000
_SHOWN = 3


def find_rows(ids: NDArray[Any], customer_id: object) -> NDArray[np.int64]:
    """Positions of a customer's rows, in order.

    Raises
    ------
    DataError
        There is none: the message says whether the id is there as another type, and names those near it.
    """
    found = np.asarray(ids == customer_id)
    if found.shape == ids.shape and found.any():
        return np.flatnonzero(found)
    raise DataError(
        f"customer_id={customer_id!r} is none of the {len(ids):,} in the summary.{_near(ids, customer_id)} All are in "
        "its customer_id."
    )


def _near(ids: NDArray[Any], customer_id: object) -> str:
    text, printed = str(customer_id).strip(), ids.astype(str)
    same = np.flatnonzero(printed == text)
    if len(same):
        twin = ids.tolist()[same[0]]
        return f" There is {twin!r}, of type {type(twin).__name__} and not {type(customer_id).__name__}: give it so."
    if ids.dtype.kind in "iuf" and isinstance(customer_id, Real):
        order = np.argsort(np.abs(ids.astype(np.float64) - float(customer_id)), kind="stable")[:_SHOWN]
        return f" Near it are {quote_list(sorted(ids[order].tolist()))}."
    some = printed
    for length in range(1, len(text) + 1):
        if len(some) <= _COMPARED:
            break
        some = some[np.char.startswith(some, text[:length])]
    by_lower = {name.lower(): name for name in some[:_COMPARED].tolist()}
    close = difflib.get_close_matches(text.lower(), list(by_lower), n=_SHOWN, cutoff=0.5)
    return f" Near it are {quote_list(by_lower[name] for name in close)}." if close else ""
