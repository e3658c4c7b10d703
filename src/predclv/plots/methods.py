"""How methods are told apart: a colour, a line and a marker each, the same in every plot of a backtest."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "QUANTITIES",
    "MethodStyle",
    "choose",
    "label",
    "legend_below",
    "method_styles",
    "names_on_axis",
    "styles_for",
    "title_beside_names",
    "where",
]

# Okabe and Ito's palette without black (what happened) and yellow (unseen on white), and two that go with it.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c510a", "#6a51a3")
_LINES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", ">", "h", "*")
_GREYS = ("#4d4d4d", "#737373", "#999999")
_SIMPLE = ("zero", "naive", "historical_average", "formula", "marginal")
_DERIVED = "_recalibrated"
_NAME = 30
#: What is forecast, as labels say it.
QUANTITIES = {"purchases": "purchases", "value": "value", "spend": "mean spend"}
# Width of a legend's letter and of its line, in points.
_LETTER, _HANDLE = 4.4, 34.0


@dataclass(frozen=True)
class MethodStyle:
    """How one method is drawn.

    Attributes
    ----------
    color : str
    linestyle : str or tuple
    marker : str
    quiet : bool
        Whether it is there to be compared with: drawn thinner and below the others.
    """

    color: str
    linestyle: Any
    marker: str
    quiet: bool = False

    @property
    def line(self) -> dict[str, Any]:
        """Options of `Axes.plot` for a line."""
        width, order = (1.2, 2.2) if self.quiet else (1.7, 2.6)
        return {"color": self.color, "ls": self.linestyle, "lw": width, "zorder": order}

    @property
    def points(self) -> dict[str, Any]:
        """Options of `Axes.plot` for points."""
        return {"color": self.color, "marker": self.marker, "ms": 4.5 if self.quiet else 5.5, "ls": "none", "zorder": 3}


def method_styles(names: Iterable[str], reference: str | None = None) -> dict[str, MethodStyle]:
    """Give each method a look that it keeps in all plots.

    The reference and the simple baselines are grey; a recalibrated method has the colour of the one it was made from,
    and another line.

    Parameters
    ----------
    names : iterable of str
        All methods of the backtest, in the order in which colours are dealt.
    reference : str, optional
        The method that the others are compared with.

    Returns
    -------
    dict of str to MethodStyle
        No two alike among the first 32 that are not grey, as to colour and line.
    """
    ordered = list(dict.fromkeys(names))
    styles: dict[str, MethodStyle] = {}
    loud = grey = 0
    for place, name in enumerate(ordered):
        marker = _MARKERS[place % len(_MARKERS)]
        origin = name.removesuffix(_DERIVED)
        if origin != name and origin in styles:
            base = styles[origin]
            styles[name] = MethodStyle(base.color, _LINES[2], marker, base.quiet)
        elif name == reference or name in _SIMPLE:
            styles[name] = MethodStyle(_GREYS[grey % 3], _LINES[(grey // 3 + grey % 3) % 4], marker, quiet=True)
            grey += 1
        else:
            line = _LINES[(0, 1, 3, 2)[loud // len(_COLOURS) % 4]]
            styles[name] = MethodStyle(_COLOURS[loud % len(_COLOURS)], line, marker)
            loud += 1
    return styles


def styles_for(table: pd.DataFrame, styles: Mapping[str, MethodStyle] | None) -> dict[str, MethodStyle]:
    """Styles of the methods in a table, in the order of `styles`; those it lacks follow."""
    names = list(dict.fromkeys(table["method"]))
    if styles is None:
        return method_styles(names)
    missing = [name for name in names if name not in styles]
    return {name: styles[name] for name in styles if name in names} | method_styles(missing)


def choose(table: pd.DataFrame, **wanted: Any) -> tuple[pd.DataFrame, dict[str, str]]:
    """Rows of one horizon, cut-off, quantity and so on, and what these are.

    Parameters
    ----------
    table : DataFrame
    **wanted : str or None
        By column; None takes "all" where the column has it, and its first value otherwise.

    Raises
    ------
    ValueError
        The table has no such rows.
    """
    chosen: dict[str, str] = {}
    for column, value in wanted.items():
        known = list(dict.fromkeys(table[column]))
        if not known:
            raise ValueError(f"The table has no rows{_of(chosen)}.")
        if value is None:
            value = "all" if "all" in known else known[0]
        if value not in known:
            raise ValueError(
                f"There is no {column} {value!r}{_of(chosen)}; the table has {', '.join(map(repr, known))}."
            )
        chosen[column] = value
        table = table[table[column] == value]
    return table, chosen


def legend_below(ax: Axes, gap: float = 50.0) -> None:
    """Legend under the axis label, in as many columns as the names leave room for.

    Parameters
    ----------
    ax : Axes
        Its labelled artists are listed in the order in which they were drawn.
    gap : float
        Points between the axes and the legend: the ticks and the label's two lines stand there.
    """
    from matplotlib.transforms import ScaledTranslation

    handles, labels = ax.get_legend_handles_labels()
    if not handles:
        return
    figure: Any = ax.get_figure(root=True)
    wide = max(map(len, labels)) * _LETTER + _HANDLE
    # The names may go on under what stands to the right of the axes.
    room = ax.bbox.width * 1.13 / figure.dpi * 72
    n_columns = max(1, min(int(room / wide), len(labels), 4))
    under = ax.transAxes + ScaledTranslation(0.0, -gap / 72, figure.dpi_scale_trans)
    ax.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0.0, 0.0),
        bbox_transform=under,
        ncols=n_columns,
        fontsize=8,
        frameon=False,
        borderpad=0.0,
        borderaxespad=0.0,
        handlelength=2.6,
        columnspacing=1.2,
        labelspacing=0.35,
    )


def names_on_axis(ax: Axes, names: Iterable[str]) -> None:
    """One row a method, the first at the top."""
    shown = [label(name) for name in names]
    ax.set_yticks(range(len(shown)), shown)
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)


def title_beside_names(ax: Axes, title: str, names: Iterable[str]) -> None:
    """Wrap a title of `style.dress` anew: names on the axis leave less room beside them."""
    figure: Any = ax.get_figure(root=True)
    taken = max((len(style.shorten(name, _NAME)) for name in names), default=0) * _LETTER * 1.3
    room = (figure.bbox.width / figure.dpi * 72 if len(figure.axes) < 3 else ax.bbox.width / figure.dpi * 72) - taken
    text = textwrap.fill(title, max(int(room / 6.6), 20))
    ax.set_title(style.escape(text), loc="left", fontsize=10.5, fontweight="bold")


def where(chosen: Mapping[str, str]) -> str:
    """Horizon and cut-off in words."""
    cutoff = chosen["cutoff"]
    return f"{chosen['horizon']}, {'cut-offs pooled' if cutoff == 'all' else f'from {cutoff}'}"


def label(name: object) -> str:
    """A method's name as it may stand in a drawing."""
    return style.escape(style.shorten(name, _NAME))


def _of(chosen: Mapping[str, str]) -> str:
    return f" for {', '.join(f'{name} {value!r}' for name, value in chosen.items())}" if chosen else ""
