"""Plots of segments: what they draw is what the tables hold, and names are no formulas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from predclv import plots


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def curve(**changes):
    x = np.linspace(0, 1, 11)
    columns = {name: x**power for name, power in (("expected", 0.5), ("chosen", 0.5), ("outcome", 0.2), ("past", 0.3))}
    for name in ("chosen", "outcome"):
        columns[f"{name}_low"], columns[f"{name}_high"] = columns[name] * 0.9, np.minimum(columns[name] * 1.1, 1)
    return pd.DataFrame({"share_of_customers": x, **columns, **changes})


def test_the_pareto_curve_names_its_shares():
    ax = plots.plot_pareto(curve(), top=0.2, level=0.8)
    held, chosen = 0.2**0.2, 0.2**0.5
    assert (
        ax.get_title(loc="left").replace("\n", " ")
        == f"The best 20% of the customers will bring {held:.0%} of the value"
    )
    texts = [text.get_text() for text in ax.texts]
    assert {f"{held:.0%}", f"{chosen:.0%}"} <= set(texts)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "who turn out best, with 80% interval" in labels
    assert len(labels) == 3
    assert len(plots.plot_pareto(curve(past=np.nan)).get_legend().get_texts()) == 2
    empty = plots.plot_pareto(curve(outcome=np.nan))
    assert "Nobody is expected" in empty.get_title(loc="left")


def table(**changes):
    return pd.DataFrame(
        {
            "tier": ["$gold$", "rest", "existing customers"],
            "share_of_customers": [0.2, 0.8, 1.0],
            "share_of_value": [0.7, 0.3, 1.0],
            "share_low": [0.6, 0.2, 1.0],
            "share_high": [0.8, 0.4, 1.0],
            **changes,
        }
    )


def test_tiers_are_drawn_with_customers_beside_value():
    ax = plots.plot_tiers(table())
    assert ax.get_title(loc="left").replace("\n", " ") == r"\$gold\$, 20% of the customers, holds 70% of the value"
    widths = sorted(bar.get_width() for bar in ax.patches)
    np.testing.assert_allclose(widths, [0.2, 0.3, 0.7, 0.8])
    assert [label.get_text() for label in ax.get_yticklabels()] == [r"\$gold\$", "rest"]
    alike = plots.plot_tiers(table(share_of_value=[0.499, 0.501, 1.0]))
    assert alike.get_title(loc="left").startswith(r"\$gold\$")
    nothing = plots.plot_tiers(table(share_of_value=np.nan, share_low=np.nan, share_high=np.nan))
    assert "Nobody is expected" in nothing.get_title(loc="left")
    segments = table().rename(columns={"tier": "segment"})
    assert plots.plot_tiers(segments).get_yticklabels()[1].get_text() == "rest"


def test_migration_tells_who_fell_and_rose():
    names, new, gone = ["gold", "rest"], "new customers", "not in the new snapshot"
    counts = pd.DataFrame([[8, 2, 0], [5, 85, 10], [0, 0, 0]], index=[*names, new], columns=[*names, gone])
    ax = plots.plot_migration(counts)
    assert ax.get_title(loc="left").replace("\n", " ") == "2% of those in both snapshots fell to a lower tier, 5% rose"
    texts = [text.get_text() for text in ax.texts]
    # Nobody is new: that row is empty, and so is the corner.
    assert texts == ["80%\n8", "20%\n2", "0%\n0", "5%\n5", "85%\n85", "10%\n10"]
    assert "Nobody is in both" in plots.plot_migration(counts * 0).get_title(loc="left")


def test_given_axes_are_used():
    _, axes = plt.subplots(1, 3)
    counts = pd.DataFrame([[1, 0], [0, 0]], index=["a", "new"], columns=["a", "gone"])
    assert plots.plot_pareto(curve(), ax=axes[0]) is axes[0]
    assert plots.plot_tiers(table(), ax=axes[1]) is axes[1]
    assert plots.plot_migration(counts, ax=axes[2]) is axes[2]
