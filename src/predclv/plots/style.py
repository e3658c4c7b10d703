"""How every plot looks: colours, axes, numbers. Nothing global is touched."""

from __future__ import annotations

import math
import re
import textwrap
import unicodedata
from typing import TYPE_CHECKING

from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = [
    "ACTUAL",
    "BAND",
    "HEAT",
    "HIGHLIGHT",
    "MODEL",
    "QUIET",
    "chance",
    "count_axis",
    "date_axis",
    "dress",
    "escape",
    "get_axes",
    "legend",
    "money",
    "money_axis",
    "percent",
    "period_name",
    "points",
    "printable",
    "share_axis",
    "share_range",
    "shorten",
    "units",
]

# Okabe and Ito's palette, which the colour-blind tell apart; actual and model differ in lightness too.
ACTUAL = "#1a1a1a"
MODEL = "#0072b2"
BAND = "#a6cee3"
HIGHLIGHT = "#d55e00"
QUIET = "#767676"
HEAT = "cividis"

_SIZE = (6.4, 4.0)
# A bold letter of the title, in inches, on average.
_LETTER = 0.088
_LONGEST_NAME = 32
# What makes one emoji of several, and keeps letters apart in some scripts.
_JOINERS = "\u200c\u200d"
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
# Percent below which a share is told as none.
_LEAST = 0.005


def get_axes(ax: Axes | None, size: tuple[float, float] = _SIZE) -> Axes:
    """Return `ax`, or the axes of a new pyplot figure, which a notebook then shows."""
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def dress(ax: Axes, *, title: str, x: str, y: str) -> Axes:
    """Title with the message, labels with their units, and no more lines than needed."""
    width = ax.bbox.width / ax.get_figure(root=True).dpi  # type: ignore[union-attr]
    wrapped = textwrap.fill(title, max(int(width / _LETTER), 24))
    ax.set_title(escape(wrapped), loc="left", fontsize=10.5, fontweight="bold")
    ax.set_xlabel(escape(x), fontsize=9.5)
    ax.set_ylabel(escape(y), fontsize=9.5)
    ax.tick_params(labelsize=9, color=QUIET)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(QUIET)
    return ax


def legend(ax: Axes, loc: str = "best") -> None:
    """Legend without a frame, on what shines through but little."""
    ax.legend(facecolor="white", edgecolor="none", framealpha=0.85, fontsize=9, loc=loc)  # type: ignore[call-overload]


def printable(text: object) -> str:
    """Text on one line without what no reader sees: control characters, halves of characters, direction overrides."""
    kept = (" " if character.isspace() else character for character in str(text))
    return " ".join("".join("�" if _is_hidden(c) else c for c in kept).split())


def _is_hidden(character: str) -> bool:
    return character not in _JOINERS and unicodedata.category(character) in ("Cc", "Cs", "Cf", "Cn")


def escape(text: object) -> str:
    """Text as it is: matplotlib reads what stands between two dollar signs as a formula."""
    return str(text).replace("$", r"\$")


def shorten(text: object, length: int = _LONGEST_NAME) -> str:
    """A name on one line, cut where it would push the plot aside."""
    name = printable(text) or "(blank)"
    return name if len(name) <= length else name[: length - 1].rstrip() + "…"


def money(amount: float, currency: str | None = None, *, digits: int | None = None) -> str:
    """'12,345 USD', '$12,345' for a sign, '12,345' where no currency is known; cents below a hundred."""
    if not math.isfinite(amount):
        return "∞" if amount > 0 else "–"
    if digits is None:
        digits = 0 if abs(amount) >= 100 or amount == 0 else 2
    number = f"{amount:,.{digits}f}"
    if not currency:
        return number
    return f"{currency}{number}" if len(currency) == 1 else f"{number} {currency}"


def money_axis(axis: Axis, currency: str | None) -> None:
    """Ticks with thousands marked, in millions where they are many."""

    def label(value: float, _: int) -> str:
        for size, suffix in ((1e9, "bn"), (1e6, "m")):
            if abs(value) >= size:
                return escape(money(round(value / size, 6), None, digits=None).removesuffix(".00") + suffix)
        return escape(money(value, None, digits=0 if value == round(value) else 2))

    axis.set_major_locator(MaxNLocator(6))
    axis.set_major_formatter(FuncFormatter(label))


def count_axis(axis: Axis) -> None:
    """Whole numbers with thousands marked."""
    axis.set_major_locator(MaxNLocator(6, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def date_axis(axis: Axis) -> None:
    """Few dates, each as short as can be."""
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axis.set_major_locator(locator)
    axis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def share_axis(axis: Axis) -> None:
    """Percent."""
    axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def percent(share: float, *, sign: bool = False) -> str:
    """'12%', or '+12%' and '−12%' with `sign`; below 1 percent two digits, '0.43%'; a dash for what is not a number."""
    if not math.isfinite(share):
        return "–"
    return f"{_per_hundred(share, 0, sign)}%"


def points(share: float) -> str:
    """A difference of shares in points of percent, '+1.3' or '−0.043', which never reads as a zero with a sign."""
    return _per_hundred(share, 1, True) if math.isfinite(share) else "–"


def _per_hundred(share: float, digits: int, sign: bool) -> str:
    """A hundred times the share to so many digits after the point; two digits where these would all be zeros."""
    number = 100 * share
    if abs(number) < _LEAST:
        return "0"
    kind = f".{digits}f" if abs(number) >= 10.0**-digits else ".2g"
    return f"{number:{'+' if sign else ''}{kind}}".replace("-", "−")


def chance(share: float) -> str:
    """A probability that is not known to be 0 or 1, as '31%', 'below 1%' or 'above 99%'."""
    return "below 1%" if share < 0.01 else "above 99%" if share > 0.99 else percent(share)


def share_range(low: float, high: float, *, joint: str = "to") -> str:
    """'79% to 81%', with a digit more where both ends would read alike."""
    for digits in range(3):
        ends = [f"{100 * end:.{digits}f}%" for end in (low, high)]
        if ends[0] != ends[1]:
            break
    else:
        ends = [percent(end) for end in (low, high)]
    if digits == 0 or not math.isfinite(high - low):
        ends = [percent(end) for end in (low, high)]
    return f"{ends[0]} {joint} {ends[1]}"


def period_name(period: object) -> str:
    """A period as people say it: 'March 1997', 'quarter 1 of 1997', 'the week from 1997-03-03', '1997'."""
    text = str(period)
    if found := re.fullmatch(r"(\d{4})-(\d{2})", text):
        return f"{_MONTHS[int(found[2]) - 1]} {found[1]}"
    if found := re.fullmatch(r"(\d{4})Q(\d)", text):
        return f"quarter {found[2]} of {found[1]}"
    if found := re.fullmatch(r"(\d{4}-\d{2}-\d{2})/.*", text):
        return f"the week from {found[1]}"
    return text


def units(currency: str | None) -> str:
    """' (USD)', or nothing where no currency is known."""
    return f" ({currency})" if currency else ""
