"""What keeps a summary from being changed: locked arrays, and frames that are given out as copies."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.quality import empty_quality

__all__ = ["CopiedFrame", "locked"]


def locked(column: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only array that no flag makes writable again; one that owns its memory is locked in place."""
    base = column if column.base is None and column.flags.owndata else np.array(column)
    base.flags.writeable = False
    # numpy lets the owner of memory unlock itself, and refuses a view of a locked owner.
    return base.view()


class CopiedFrame:
    """An attribute that holds a frame and gives out copies; without a value, a quality table without lines."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._key = f"_{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> None: ...
    @overload
    def __get__(self, instance: object, owner: type) -> pd.DataFrame: ...
    def __get__(self, instance: object | None, owner: type) -> pd.DataFrame | None:
        # A dataclass asks the class for the default.
        return None if instance is None else instance.__dict__[self._key].copy()

    def __set__(self, instance: object, frame: pd.DataFrame | None) -> None:
        instance.__dict__[self._key] = empty_quality() if frame is None else frame.copy()
