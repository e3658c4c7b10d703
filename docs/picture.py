"""The picture at the top of the README: `python docs/picture.py` draws it anew from CDNOW's public log."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

import predclv as pc
from predclv import checks, plots
from predclv.errors import PredCLVWarning
from predclv.files import replace_file
from predclv.plots import style

CUTOFF, END, HORIZON = "1997-09-30", "1998-06-30", "39 weeks"
PICTURE = Path(__file__).parent / "_static" / "picture.png"


def draw(path: Path) -> None:
    """Purchases of the base, week by week, and how many customers' intervals held, nine months after the fit."""
    log = pc.datasets.load_cdnow()
    split = pc.split_transactions(log, amount="amount", at=CUTOFF, holdout_end=END)
    model = pc.MBGNBD().fit(split.calibration)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), gridspec_kw={"width_ratios": (3, 2)})
    plots.plot_tracking(checks.track_purchases(model, pc.purchase_timeline(log, by="day")), ax=left)
    draw_coverage(log, right)
    figure.tight_layout(w_pad=3)
    with replace_file(path) as new:
        # Without the version of matplotlib, the file changes only with the picture.
        figure.savefig(new, format="png", dpi=100, metadata={"Software": None})
    plt.close(figure)


def draw_coverage(log: object, ax: Axes) -> None:
    """Share of customers whose purchases lay in the interval stated for them, by what was stated."""
    found = pc.backtest(
        log, amount="amount", methods=["mbg_nbd"], cutoffs=[CUTOFF], horizons=[HORIZON], progressbar=False
    ).scores
    rows = found[(found["by"] == "all") & found["metric"].str.fullmatch(r"pit_coverage_\d+")]
    rows = rows[rows["quantity"] == "purchases"]
    stated = rows["metric"].str.rpartition("_")[2].astype(float) / 100
    ax.plot([0.4, 1], [0.4, 1], color="0.6", linestyle="--", linewidth=1, label="as stated")
    ax.errorbar(stated, rows["value"], yerr=(rows["value"] - rows["low"], rows["high"] - rows["value"]), fmt="o")
    for x, y in zip(stated, rows["value"], strict=True):
        ax.annotate(f"{y:.1%}", (x, y), xytext=(8, -10), textcoords="offset points", fontsize=8)
    ax.set(xlim=(0.4, 1.06), ylim=(0.4, 1.02))
    held = dict(zip(stated, rows["value"], strict=True))
    n = int(rows["customers"].iloc[0])
    title = f"{held[0.9]:.0%} of {n:,} customers\nlay in their 90% intervals"
    style.dress(ax, title=title, x="Stated probability", y="Share of customers inside")
    style.share_axis(ax.xaxis)
    style.share_axis(ax.yaxis)
    style.legend(ax, loc="upper left")


if __name__ == "__main__":
    with warnings.catch_warnings():
        # CDNOW's log is as long as the horizon and its spend goes with frequency: said on the pages that use it.
        warnings.simplefilter("ignore", PredCLVWarning)
        draw(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
