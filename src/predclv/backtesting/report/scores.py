"""Sections on scores: all methods by the metrics that matter, every metric folded away, totals by cut-off."""

from __future__ import annotations

from predclv import plots
from predclv.backtesting.report.inputs import NAMES, QUANTITY, Given, name, number, off, share, show
from predclv.plots.style import money, percent
from predclv.report.blocks import Block, Cell, Details, Figure, Figures, Paragraph, Section, Table
from predclv.report.figures import draw

__all__ = ["scores", "totals"]

_CHOSEN = {
    "purchases": ("crps", "mae", "rmse", "bias", "spearman", "capture_20", "brier", "pit_coverage_90"),
    "value": ("crps", "mae", "rmse", "bias", "spearman", "capture_20", "pit_coverage_90"),
    "spend": ("mae", "rmse", "bias", "pearson", "spearman"),
}
_WORDS = "purchases", "value"


def scores(given: Given) -> Section:
    """Methods by metric for each quantity, the main horizon open and the others folded."""
    key = (
        f"Over all customers, cut-offs pooled. ▲ better than {name(given.reference)}, the reference, ▼ worse, ≈ within "
        f"noise of it ({percent(given.setting('level'))} interval of the paired difference). Best CRPS first."
    )
    blocks: list[Block] = [Paragraph(key)]
    for quantity in given.quantities:
        blocks.append(_table(given, quantity, given.main))
    points = given.points
    if points:
        certain = "A method without odds is scored as if it were certain, so that its CRPS is its MAE: "
        blocks.append(Paragraph(f"{certain}{', '.join(points)}.", "quiet"))
    figures = [_figure(given, quantity) for quantity in given.quantities]
    blocks.append(Figures(figures))
    for horizon in given.horizons:
        if horizon != given.main:
            blocks.append(Details(f"Scores for {horizon}", [_table(given, q, horizon) for q in given.quantities]))
    everything = [_everything(given, quantity, horizon) for quantity, horizon in given.cases]
    blocks.append(Details("All metrics with their intervals", everything))
    if len(given.cutoffs) > 1:
        apart = [_by_cutoff(given, quantity, horizon) for quantity, horizon in given.cases]
        blocks.append(Details("CRPS cut-off by cut-off", apart))
    return Section("scores", "How the methods score", blocks)


def totals(given: Given) -> Section | None:
    """Expected and actual totals by cut-off, and how often the interval held."""
    table = given.result.totals
    if table.empty:
        return None
    main = table[(table["level"] == 0.9) & table["low"].notna()]
    lead = (
        "Whether the sum over all customers comes out right: what budgets and stock are planned on. A total beside its "
        "difference from what was bought; “inside” counts the cut-offs whose actual total lay in the 90% interval, "
        "where a method gives one. Nine in ten should, and with few cut-offs that number says little."
    )
    if main.empty:
        lead += " No method of this run gives an interval of the total."
    quantities = [quantity for quantity in _WORDS if (table["quantity"] == quantity).any()]
    blocks: list[Block] = [Paragraph(lead + given.undrawn)]
    blocks += [_totals(given, quantity, given.main) for quantity in quantities]
    blocks.append(
        Figures(
            [
                draw(
                    f"totals-{quantity}",
                    plots.plot_total_tracking,
                    given.drawing(table),
                    horizon=given.main,
                    quantity=quantity,
                    styles=given.styles,
                    size=(5.0, 4.6),
                    label=f"Expected over actual total of {quantity} by cut-off, a point and an interval a method.",
                    caption="At 100% the total was right. Where all methods miss a cut-off on one side, it was the "
                    "period that was unlike those before.",
                )
                for quantity in quantities
            ]
            + [_tracking(given, cutoff) for cutoff in given.cutoffs[-1:]]
        )
    )
    if len(given.cutoffs) > 1:
        blocks.append(
            Details("Purchases from earlier cut-offs on", [Figures([_tracking(given, c) for c in given.cutoffs[:-1]])])
        )
    others = [_totals(given, quantity, h) for h in given.horizons if h != given.main for quantity in quantities]
    if others:
        blocks.append(Details("Totals for the other horizons", others))
    inside = [_inside(given, quantity, horizon) for horizon in given.horizons for quantity in quantities]
    known = [table for table in inside if table.rows]
    if known:
        blocks.append(Details("Intervals of the totals at all levels", known))
    return Section("totals", "Totals over the cut-offs", blocks)


def _table(given: Given, quantity: str, horizon: str) -> Table:
    found = given.scores(quantity, horizon)
    metrics = [metric for metric in _CHOSEN[quantity] if any(metric in rows for rows in found.values())]
    contest = given.contest(quantity, horizon)
    rows: list[list[str | Cell]] = []
    for method in contest.order:
        rows.append([given.titled(method, quantity, horizon), *(show(found[method].get(m)) for m in metrics)])
    unit = f"; {'MAE' if quantity == 'spend' else 'CRPS, MAE'} and RMSE in {given.unit(quantity)}"
    caption = f"{QUANTITY[quantity]} within {horizon}, over {given.over(quantity, horizon)}{unit}"
    if contest.partial:
        caption += "; those with fewer stand last, and their numbers are of other customers"
    return given.compare_table(caption, ("Method", *(NAMES[metric] for metric in metrics)), rows)


def _figure(given: Given, quantity: str) -> Figure:
    contest = given.contest(quantity, given.main)
    return draw(
        f"scores-{quantity}",
        plots.plot_scores,
        given.result.scores,
        "crps",
        horizon=given.main,
        quantity=quantity,
        styles=given.styles,
        size=(5.0, 1.4 + 0.27 * (1 + len(contest.rivals))),
        label=f"Difference in CRPS of {quantity} from {name(given.reference)} with its interval, "
        f"{name(contest.winner)} lowest.",
        caption="A line that does not touch 0 is a difference of more than noise. The numbers are the CRPS itself.",
    )


def _everything(given: Given, quantity: str, horizon: str) -> Table:
    found = given.scores(quantity, horizon)
    order = given.ranked(quantity, horizon)
    metrics = [metric for metric in NAMES if any(metric in rows for rows in found.values())]
    metrics += [m for m in dict.fromkeys(m for rows in found.values() for m in rows) if m not in NAMES]
    rows = [
        [NAMES.get(metric, metric), *(show(found[method].get(metric), interval=True) for method in order)]
        for metric in metrics
    ]
    level = percent(given.setting("level"))
    return given.compare_table(
        f"{QUANTITY[quantity]} within {horizon}, over {given.over(quantity, horizon)}, with {level} intervals",
        ("Metric", *(name(method) for method in order)),
        rows,
    )


def _by_cutoff(given: Given, quantity: str, horizon: str) -> Table:
    table = given.among(given.result.scores, by="all", quantity=quantity, horizon=horizon, metric="crps")
    found = {(row["method"], row["cutoff"]): row for row in table.to_dict("records")}
    rows = [
        [name(method), *(show(found.get((method, cutoff))) for cutoff in given.cutoffs)]  # type: ignore[arg-type]
        for method in given.ranked(quantity, horizon)
    ]
    return given.compare_table(f"CRPS of {quantity} within {horizon}", ("Method", *given.cutoffs), rows)


def _totals(given: Given, quantity: str, horizon: str) -> Table:
    table = given.among(given.result.totals, quantity=quantity, horizon=horizon, level=0.9)
    found = {(row["method"], row["cutoff"]): row for row in table.to_dict("records")}
    actual = {cutoff: row["actual"] for (_, cutoff), row in found.items()}
    currency = given.setting("currency") if quantity == "value" else None
    rows = [["actual", *(money(actual[c], currency, digits=0) if c in actual else "–" for c in given.cutoffs), ""]]
    for method in (m for m in given.methods if m in set(table["method"])):
        cells = []
        for cutoff in given.cutoffs:
            row = found.get((method, cutoff))
            if row is None:
                cells.append("–")
                continue
            error = row["expected"] / row["actual"] - 1 if row["actual"] else float("nan")
            cells.append(f"{money(row['expected'], None, digits=0)} ({off(error)})")
        own = table[(table["method"] == method) & table["low"].notna()]
        held = sum(bool(value) for value in own["inside"])
        rows.append([name(method), *cells, f"{held} of {len(own)}" if len(own) else "no interval"])
    columns = ("Total", *given.cutoffs, "Inside")
    return given.compare_table(f"{QUANTITY[quantity]} within {horizon} of each cut-off", columns, rows, strong=(0,))


def _inside(given: Given, quantity: str, horizon: str) -> Table:
    table = given.among(given.result.totals, quantity=quantity, horizon=horizon)
    rows = []
    for row in table[table["low"].notna()].to_dict("records"):
        ends = f"{number(row['low'])} to {number(row['high'])}"
        held = "inside" if row["inside"] else "outside"
        rows.append([name(row["method"]), row["cutoff"], share(row["level"]), ends, number(row["actual"]), held])
    columns = ("Method", "Cut-off", "Level", "Interval", "Actual", "Held")
    caption = f"Intervals of the total of {quantity} within {horizon}"
    return Table(caption, columns, rows, numeric=(2, 3, 4), compare=True)


def _tracking(given: Given, cutoff: str) -> Figure:
    return draw(
        f"tracking-{given.cutoffs.index(cutoff)}",
        plots.plot_method_tracking,
        given.drawing(given.result.tracks),
        cutoff=cutoff,
        totals=given.drawing(given.result.totals),
        styles=given.styles,
        size=(5.0, 4.6),
        label=f"Purchases of all customers after {cutoff}, made and expected by each method, as running sums.",
        caption=f"From {cutoff} on: what was bought (black), and what each method expected.",
    )
