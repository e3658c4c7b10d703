"""Last sections of a backtest's report: what was learnt from earlier cut-offs, what it cost, what did not run, how to
read it, and what was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from predclv import plots
from predclv.backtesting.report.contest import Paired
from predclv.backtesting.report.inputs import QUANTITY, Given, change, name, number, share
from predclv.plots.style import percent, printable
from predclv.report.blocks import Block, Details, Figures, Paragraph, Section, Table
from predclv.report.figures import draw

__all__ = ["cost", "learning", "omissions", "reading", "settings"]

_RECALIBRATED, _COMBINATION = "_recalibrated", "combination"
_LEAST_WEIGHT = 0.005

_DEFINITIONS = (
    ("CRPS", "Continuous ranked probability score: area between the forecast's distribution and the outcome, squared. "
     "In the unit of the outcome; for a forecast without odds it is the absolute error. Lower is better."),
    ("MAE, RMSE", "Mean absolute and root mean squared error of the expected value. The first favours the median, "
     "which is 0 for most customers; the second the mean."),
    ("MSLE", "Mean squared error of log(1 + n)."),
    ("Bias of the total", "Sum of the forecasts over the sum of the outcomes, less 1."),
    ("Correlation, rank correlation", "Pearson's and Spearman's, between forecast and outcome."),
    ("Normalised Gini", "Gini of the outcome ordered by forecast, over that of the outcome ordered by itself: 1 where "
     "the order is perfect, 0 where it is random."),
    ("Top 10% and 20% capture", "Share of the total that the customers with the highest forecasts brought; equal "
     "forecasts in random order."),
    ("Lift of the top 10%", "Mean outcome of the tenth with the highest forecasts, over the mean of all."),
    ("Brier score", "Mean squared difference between the chance of buying and what happened (1 or 0)."),
    ("Log score", "Mean of −log of the chance given to what happened; infinite where that chance was 0."),
    ("Reliability", "Mean squared difference between chance and share of buyers over ten groups (Murphy 1973)."),
    ("Coverage", "Chance of the randomized PIT to lie in the central interval; nominal where the odds are right."),
    ("Raw coverage", "Share of outcomes between the quantiles; above nominal for whole numbers even then."),
    ("PIT distance", "Kolmogorov-Smirnov distance of the randomized PIT from uniform, mean of the randomisations."),
    ("Value, spend", "Value is money spent within the horizon, not discounted. Spend is the mean spend of a purchase, "
     "of those who bought."),
)  # fmt: skip


def learning(given: Given) -> Section | None:
    """Recalibrated methods beside what they were made from, and the combination with its weights."""
    made = [method for method in given.methods if method.endswith(_RECALIBRATED)]
    combined = _COMBINATION in given.methods
    blocks: list[Block] = []
    pairs = [found for found in _pairs(given, made) if found[1] is not None]
    if pairs:
        blocks += _recalibration(given, [(case, paired) for case, paired in pairs if paired is not None])
    elif given.setting("recalibrate"):
        blocks.append(
            Paragraph("Nothing was recalibrated: no cut-off has an earlier one whose outcomes had ended by then.")
        )
    if combined:
        blocks += _combination(given)
    elif given.setting("combine"):
        blocks.append(
            Paragraph(
                "No combination was made: it takes two methods with a predictive distribution and an earlier cut-off "
                "whose outcomes had ended."
            )
        )
    return Section("learning", "What was learnt from earlier cut-offs", blocks) if blocks else None


def cost(given: Given) -> Section:
    """Processor time and memory, and score against time."""
    runs = given.result.runs
    ran = runs[runs["status"] == "ok"]
    rows = []
    for method in given.methods:
        own = ran[ran["method"] == method]
        if len(own):
            fit, predict = own["fit_cpu_seconds"].sum(), own["predict_cpu_seconds"].sum()
            memory = own["peak_memory_mb"].max()
            rows.append([name(method), number(fit), number(predict), "–" if memory != memory else f"{memory:,.0f}"])
    columns = ("Method", "Fit, CPU seconds", "Forecasts, CPU seconds", "Peak memory, MB")
    table = given.compare_table(
        "All cut-offs together; the highest peak of memory beyond what was in use", columns, rows
    )
    figures = [
        draw(
            f"cost-{quantity}",
            plots.plot_score_against_cost,
            given.drawing(given.result.scores),
            given.drawing(runs),
            "crps",
            horizon=given.main,
            quantity=quantity,
            styles=given.styles,
            size=(5.0, 4.2),
            label=f"CRPS of {quantity} against CPU seconds, a point a method with its interval.",
            caption="Low and to the left is good and cheap. What is made from other methods has no time of its own.",
        )
        for quantity in given.quantities
        if quantity != "spend"
    ]
    return Section("cost", "What it costs", [table, Figures(figures)])


def omissions(given: Given) -> Section:
    """Failed and skipped methods, notes, and customers nobody forecasts."""
    runs = given.result.runs
    missing = runs[runs["status"] != "ok"]
    blocks: list[Block] = []
    if missing.empty:
        blocks.append(Paragraph("Every method ran at every cut-off."))
    else:
        rows = [
            [name(row["method"]), printable(row["cutoff"]), printable(row["status"]), printable(row["error"])]
            for row in missing.to_dict("records")
        ]
        blocks.append(Table("Runs that gave no forecast", ("Method", "Cut-off", "Status", "Why"), rows))
    blocks.append(_new_customers(given))
    notes = _notes(given)
    if notes:
        table = Table("Notes and warnings of the methods", ("Method", "Cut-offs", "Note"), notes)
        blocks.append(Details(f"Notes of the methods ({len(notes)})", [table]))
    messages = given.setting("warnings") or ()
    if messages:
        blocks.append(
            Details(f"Warnings on the log ({len(messages)})", [Paragraph(printable(text)) for text in messages])
        )
    return Section("omissions", "What did not run, and who is not in it", blocks)


def reading(given: Given) -> Section:
    """Where the intervals come from and what is not in them; definitions."""
    level, n = percent(given.setting("level")), given.setting("n_bootstrap")
    texts = (
        f"Intervals are {level} percentile intervals over {n:,} resamples of customers, drawn with all their cut-offs, "
        "the same for every method (a paired bootstrap, clustered by customer). “Better” and “worse” mean that the "
        "interval of the difference does not hold 0; “within noise” that it does.",
        "They answer: what if the customers had been others of the same kind? They do not answer: what if the months "
        "had been others? All customers of a cut-off share one season and one market, and overlapping horizons share "
        "months. That noise between periods is not in the intervals, and only more cut-offs show it.",
        "The best of many methods is partly the luckiest, so expect a little less of it next time. Of two methods "
        f"equally good, a verdict of more than noise is given in about {percent(1 - given.setting('level'))} of "
        "comparisons, so that among many some are wrong.",
        "What a method learnt from ends at the cut-off. Customers who bought nothing after it are counted; customers "
        "who came after it are not, since nobody forecast them.",
    )
    blocks: list[Block] = [Paragraph(text) for text in texts]
    blocks.append(Details("What the measures mean", [Table("Measures", ("Measure", "Meaning"), _DEFINITIONS)]))
    return Section("reading", "How to read this", blocks)


def settings(given: Given) -> Section:
    """What was asked for: enough to run it again."""
    from importlib.metadata import version

    history = str(given.setting("history"))
    if given.setting("window"):
        history += f", {given.setting('window')}"
    facts = [
        ("Made on", f"{given.made_on.isoformat()} by predclv {version('predclv')}"),
        ("Methods", ", ".join(name(method) for method in given.methods)),
        ("Reference", name(given.reference)),
        ("Cut-offs", ", ".join(given.cutoffs)),
        ("Horizons", ", ".join(given.horizons)),
        (
            "Learnt from",
            f"{history} history; {'fitted anew' if given.setting('refit') else 'fitted once, at the first'}",
        ),
        ("Amounts", "given" if given.setting("has_amounts") else "none: purchases only"),
        ("Log ends", str(given.setting("log_end") or "–")),
        ("Purchases", _ruler(given)),
        ("Recalibration", str(given.setting("recalibrate") or "none")),
        ("Combination", "yes" if given.setting("combine") else "none"),
        ("Intervals", f"{percent(given.setting('level'))}, {given.setting('n_bootstrap')} resamples"),
        ("Random numbers", f"seed {given.setting('random_state')}"),
        ("Computed with", ", ".join(f"{tool} {version(tool)}" for tool in ("numpy", "scipy", "pandas", "matplotlib"))),
    ]
    table = Table("Settings", ("What", "Value"), [(what, printable(value)) for what, value in facts])
    return Section("settings", "What was asked", [table])


def _ruler(given: Given) -> str:
    """How purchases are counted, and time."""
    if given.setting("opportunities"):
        return f"counted by opportunity, one a {given.setting('opportunities')}"
    return f"merged by {given.setting('collapse')}; time in {given.setting('time_unit')}s"


def _pairs(given: Given, made: list[str]) -> Iterator[tuple[tuple[str, str], Paired | None]]:
    for quantity, horizon in given.cases:
        # A mean spend has no odds to adjust.
        for method in made if quantity != "spend" else ():
            yield (quantity, horizon), given.paired(quantity, horizon, method, method.removesuffix(_RECALIBRATED))


def _recalibration(given: Given, pairs: list[tuple[tuple[str, str], Paired]]) -> list[Block]:
    rows = []
    helped = hurt = 0
    for (quantity, horizon), paired in pairs:
        nearer = abs(paired.bias) < abs(paired.other_bias)
        helped += paired.verdict == "better"
        hurt += paired.verdict == "worse"
        rows.append(
            [
                name(paired.other),
                f"{quantity}, {horizon}",
                f"{number(paired.other_crps)} → {number(paired.crps)}",
                change(paired.relative),
                _verdict(paired),
                f"{share(paired.other_bias, sign=True)} → {share(paired.bias, sign=True)}",
                "nearer 0" if nearer else "no nearer 0",
                f"{paired.n_cutoffs}",
            ]
        )
    n = len(rows)
    text = (
        "Recalibration moves a method's odds by how they held at earlier cut-offs whose outcomes had ended. Before and "
        f"after, at the cut-offs that have such a past: it lowered CRPS by more than noise in {helped} of {n} cases, "
        f"raised it by more than noise in {hurt}, and changed it within noise in {n - helped - hurt}."
    )
    if not helped:
        text += " It did not help here."
    columns = ("Method", "Forecast of", "CRPS", "Change", "Verdict", "Bias of the total", "Bias", "Cut-offs")
    caption = "Before → after recalibration, over the cut-offs that have both"
    return [Paragraph(text), Table(caption, columns, rows, numeric=(2, 3, 5, 7), compare=True)]


def _verdict(paired: Paired) -> str:
    return {"better": "helped", "worse": "made it worse", "within noise": "within noise", "": "–"}[paired.verdict]


def _combination(given: Given) -> list[Block]:
    blocks: list[Block] = []
    rows = []
    for quantity, horizon in given.cases:
        paired = _best_single(given, quantity, horizon) if quantity != "spend" else None
        if paired is not None:
            verdict = {"better": "better", "worse": "worse", "within noise": "within noise", "": "–"}[paired.verdict]
            best = f"{name(paired.other)} ({number(paired.other_crps)})"
            what = f"{QUANTITY[quantity]}, {horizon}"
            rows.append([what, number(paired.crps), best, change(paired.relative), verdict, f"{paired.n_cutoffs}"])
    if rows:
        lead = (
            "The combination mixes the predictive distributions with the weights that did best at earlier cut-offs. It "
            "is set beside the single method that turned out best at the same cut-offs, which nobody knew beforehand."
        )
        columns = ("Forecast of", "CRPS", "Best single method", "Change", "Verdict", "Cut-offs")
        caption = "The combination beside the best single method"
        blocks += [Paragraph(lead), Table(caption, columns, rows, numeric=(1, 3, 5), compare=True)]
    weights = given.result.weights
    for quantity, horizon in given.cases if len(weights) else ():
        table = given.among(weights, quantity=quantity, horizon=horizon)
        if len(table):
            blocks.append(_weights(given, table, f"Weights in the combination, {quantity} within {horizon}"))
    return blocks


def _best_single(given: Given, quantity: str, horizon: str) -> Paired | None:
    """The combination against the single method with the lowest CRPS at the same cut-offs."""
    single = [method for method in given.methods if method != _COMBINATION and not method.endswith(_RECALIBRATED)]
    pairs = [given.paired(quantity, horizon, _COMBINATION, method) for method in single]
    found = [paired for paired in pairs if paired is not None]
    most = max((paired.n_cutoffs for paired in found), default=0)
    return min(
        (paired for paired in found if paired.n_cutoffs == most), key=lambda paired: paired.other_crps, default=None
    )


def _weights(given: Given, table: Any, caption: str) -> Table:
    cutoffs = sorted(dict.fromkeys(table["cutoff"]))
    found = {(row["method"], row["cutoff"]): float(row["weight"]) for row in table.to_dict("records")}
    methods = list(dict.fromkeys(table["method"]))
    used = [m for m in methods if max(found.get((m, cutoff), 0.0) for cutoff in cutoffs) >= _LEAST_WEIGHT]
    rows = [[name(m), *(share(found.get((m, cutoff), float("nan"))) for cutoff in cutoffs)] for m in used]
    rest = len(methods) - len(used)
    if rest:
        caption += f" ({rest} more have next to none)"
    return given.compare_table(caption, ("Method", *cutoffs), rows)


def _new_customers(given: Given) -> Table:
    rows = [
        [
            f"{row['cutoff']}, {row['horizon']}",
            printable(row["end"]),
            f"{row['customers']:,}",
            f"{row['buyers']:,}",
            f"{row['purchases']:,.0f}",
            f"{row['new_customers']:,}",
            f"{row['new_purchases']:,}",
        ]
        for row in given.result.customers.to_dict("records")
    ]
    columns = ("Cut-off, horizon", "To", "Customers", "Who bought", "Purchases", "New customers", "Their purchases")
    caption = "Customers forecast, and customers who came within the horizon: nobody forecasts those"
    return Table(caption, columns, rows, numeric=range(2, 7), compare=True)


def _notes(given: Given) -> list[list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for row in given.result.runs.to_dict("records"):
        for note in str(row["notes"] or "").split("\n"):
            if note.strip():
                found.setdefault((row["method"], note), []).append(str(row["cutoff"]))
    return [[name(method), ", ".join(cutoffs), printable(note)] for (method, note), cutoffs in found.items()]
