"""What is asked of acquisition, checked: costs, margins and prices by channel, bands and probabilities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from numbers import Real
from typing import Any

import pandas as pd

from predclv.data.checks import check_channels
from predclv.decisions.formulas.plain import ALL
from predclv.errors import DataError
from predclv.inference.posterior import check_number
from predclv.value import CLV

__all__ = ["BANDS", "by_channel", "check_bands", "check_terms", "find_segments", "settle_cac"]

#: Where the bands of CLV:CAC begin, and what they are called, as the field does.
BANDS: Mapping[float, str] = {0.0: "critical", 1.0: "insufficient", 3.0: "healthy", 5.0: "under-investing"}


def find_segments(clv: CLV) -> list[str]:
    """Names of the channels that the models know, in order; empty where they know none."""
    if not isinstance(clv, CLV):
        raise TypeError(f"'clv' must be a fitted CLV. Got {type(clv).__name__}.")
    models = clv._fitted().values()
    columns = sorted({str(model.segment) for model in models if model.segments_})
    if len(columns) > 1:
        raise DataError(f"The models are divided by different columns, {columns}. Fit both with the same segment=.")
    return list(dict.fromkeys(name for model in models for name in model.segments_))


def check_terms(cac: float | Mapping[Any, float] | pd.Series, confidence: float, target: float) -> None:
    """Raise DataError or ValueError for what `assess_acquisition` would refuse whatever the models."""
    given = cac if isinstance(cac, Mapping | pd.Series) else {ALL: cac}
    for name, value in given.items():
        _amount(str(name), value)
    _share("confidence", confidence)
    if check_number("target", target) <= 0:
        raise ValueError(f"'target' must be above 0, a ratio of CLV to CAC. Got {target!r}.")


def settle_cac(
    clv: CLV, cac: float | Mapping[Any, float] | pd.Series, profiles: Mapping[Any, Any] | None
) -> dict[str, float]:
    """CAC by channel, of the models' segments, of the profiles, or of all; DataError where they do not fit."""
    known = find_segments(clv) or [str(name) for name in profiles or ()]
    if not isinstance(cac, Mapping | pd.Series):
        given: dict[str, Any] = dict.fromkeys(known or [ALL], cac)
    else:
        given = {str(name): value for name, value in cac.items()}
        if not known:
            raise DataError(
                "The models know no channels, and CAC is given for some. Fit with CLV(BGNBD(method='map', "
                "segment='channel'), GammaGamma(method='map', segment='channel')), or give one number."
            )
        check_channels("cac", cac.keys(), known)
    return {name: _amount(name, given[name]) for name in known or [ALL]}


def _amount(name: str, value: Any) -> float:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not (is_number and 0 < float(value) < math.inf):
        whose = "" if name == ALL else f" of {name!r}"
        raise DataError(
            f"The CAC{whose} is {value!r}: it must be a number above 0. Where winning costs nothing there is no "
            "ratio; `CLV.new_customer` says what such a customer is worth."
        )
    return float(value)


def by_channel(option: str, values: Any, names: Sequence[str]) -> dict[str, Any]:
    """One value for each channel, from one for all or a mapping; DataError where channels are missing or unknown."""
    if not isinstance(values, Mapping | pd.Series):
        return dict.fromkeys(names, values)
    check_channels(option, values.keys(), names)
    given = {str(key): value for key, value in values.items()}
    return {name: given[name] for name in names}


def check_bands(bands: Mapping[float, str]) -> Mapping[float, str]:
    """Return the bands; ValueError where they do not begin at 0 and rise, or are no mapping."""
    wanted = f"'bands' must say where each begins, from 0 on and rising, as {dict(BANDS)}. Got {bands!r}."
    if not isinstance(bands, Mapping):
        raise ValueError(wanted)
    starts = [check_number("bands", start) for start in bands]
    if not starts or starts[0] != 0 or any(b <= a for a, b in pairwise(starts)):
        raise ValueError(wanted)
    return bands


def _share(option: str, value: float) -> float:
    number = check_number(option, value)
    if not 0 < number < 1:
        hint = f"; did you mean {number / 100:g}?" if 1 < number < 100 else "."
        raise ValueError(f"{option!r} must be in (0, 1), a probability. Got {value!r}{hint}")
    return number
