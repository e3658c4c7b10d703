"""Whether two summaries, or a model and a summary, were counted alike."""

from __future__ import annotations

from enum import Enum
from typing import Literal

from predclv.errors import UnitError

__all__ = ["NOT_ASKED", "NotAsked", "check_collapse", "check_currency", "check_time_unit"]


class _Sentinel(Enum):
    NOT_ASKED = "not asked"

    def __repr__(self) -> str:
        return self.value


#: Stands for an argument that was not given, where None has a meaning of its own.
NOT_ASKED = _Sentinel.NOT_ASKED
NotAsked = Literal[_Sentinel.NOT_ASKED]


def check_time_unit(fitted: str, given: str) -> None:
    """Raise UnitError where the units differ."""
    if fitted != given:
        raise UnitError(
            f"The model was fitted in {fitted}s and this summary is in {given}s. "
            f"Summarise with time_unit={fitted!r}, or fit again."
        )


def check_currency(fitted: str | None, given: str | None) -> None:
    """Raise UnitError where the currencies differ, or one of them is known and the other is not."""
    if fitted == given:
        return
    if fitted is None:
        raise UnitError(
            f"The model was fitted on amounts of an unknown currency and this summary is in {given}. "
            f"Fit again on a summary made with currency={given!r}, if its amounts are in {given}."
        )
    if given is None:
        raise UnitError(
            f"The model was fitted in {fitted} and this summary's currency is unknown. "
            f"Summarise with currency={fitted!r}, if its amounts are in {fitted}."
        )
    raise UnitError(
        f"The model was fitted in {fitted} and this summary is in {given}. Convert the amounts, or fit again."
    )


def check_collapse(fitted: str | None, given: str | None) -> None:
    """Raise UnitError where both are known and differ: what is one purchase here is several there."""
    if fitted is not None and given is not None and fitted != given:
        raise UnitError(
            f"The model was fitted on purchases merged by {fitted!r} and this summary merges them by {given!r}. "
            f"Summarise with collapse={fitted!r}, or fit again."
        )
