"""First sections of a backtest's report: which method to trust, and what predicting nothing scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from predclv.backtesting.report.contest import NEGLIGIBLE, Contest, Paired
from predclv.backtesting.report.inputs import QUANTITY, Given, change, join, name, number, share
from predclv.plots.style import percent
from predclv.report.blocks import Block, Finding, Findings, Paragraph, Section, Table

__all__ = ["answer", "nothing"]

_MOST_NAMED = 5
_FEW_CUTOFFS = 5
# Methods that forecast the same of everybody: no order, no judgement of a single customer.
_CONSTANT = ("zero", "historical_average", "marginal")


def answer(given: Given) -> Section:
    """Best method by CRPS for each quantity and horizon, and how sure that is."""
    blocks: list[Block] = []
    for place, quantity in enumerate(given.quantities):
        blocks.append(Paragraph(_sentence(given, given.contest(quantity, given.main)), "" if place else "lead"))
    caption = (
        "The lowest CRPS (error of the whole forecast; lower is better). Tied: within noise, or less than "
        f"{NEGLIGIBLE:.1%} apart, which decides nothing"
    )
    blocks.append(_table(given, caption, [given.contest(quantity, horizon) for quantity, horizon in given.cases]))
    whole = [given.whole_contest(quantity, horizon) for quantity, horizon in given.cases]
    contests = [contest for contest in whole if contest is not None]
    if contests:
        late = dict.fromkeys(rival.method for contest in contests for rival in contest.partial)
        caption = (
            f"The same over all {len(given.cutoffs)} cut-offs. Not in it, for want of some of them: {_some(list(late))}"
        )
        blocks.append(_table(given, caption, contests))
    found = [*_later(given), *_pointless(given), _periods(given), *_missing(given)]
    blocks.append(Findings(sorted(found, key=lambda finding: ("caution", "note", "fine").index(finding.grade))))
    return Section("answer", "Which method to trust", blocks)


def _table(given: Given, caption: str, contests: Sequence[Contest]) -> Table:
    against = f"Against {name(given.reference)}"
    columns = ("Forecast of", "Cut-offs", "Best method", "CRPS", against, "Next best", "Tied with the best")
    return Table(caption, columns, [_row(given, contest) for contest in contests], numeric=(1, 3))


def nothing(given: Given) -> Section | None:
    """Why the mean absolute error of a forecast of zero means nothing."""
    if "purchases" not in given.quantities:
        return None
    horizon = given.main
    scores = given.scores("purchases", horizon)
    best = next((m for m in given.ranked("purchases", horizon) if m not in _CONSTANT), None)
    if best is None:
        return None
    rows = given.result.customers
    rows = rows[(rows["horizon"] == horizon) & rows["cutoff"].isin(given.contest("purchases", horizon).cutoffs)]
    customers, buyers, bought = (float(rows[column].sum()) for column in ("customers", "buyers", "purchases"))
    if not bought:
        return None
    zero = _zero(scores.get("zero", {}), bought / customers, buyers / customers)
    mae = scores[best]["mae"]["value"]
    ran = "" if "zero" in scores else " (it was not run; these follow without running it)"
    text = (
        f"Forecasting zero purchases for everybody is wrong by {number(zero['mae'])} purchases a customer on average "
        f"(MAE){ran}; {name(best)} by {number(mae)}. {_closeness(mae / zero['mae'])}: "
        f"{percent(1 - buyers / customers)} of the customers bought nothing within {horizon}, and for all of them a "
        "forecast of zero is exactly right. Whoever says zero earns that without knowing anybody."
    )
    why = (
        "An average absolute error is smallest for the customer in the middle, and the customer in the middle buys "
        "nothing. So it rewards forecasts that are too low, and a business planned on zero plans on no revenue. Ask "
        "instead what a decision needs: is the total right, are the good customers found, and are the odds right? "
        "A forecast of zero foresees no total, and finds nobody."
    )
    if zero["crps"] >= scores[best]["crps"]["value"]:
        why += " Nor are its odds as good."
    elif best in given.contest("purchases", horizon).points:
        why += f" That its CRPS is lower is its absolute error again: {name(best)} gives no odds."
    else:
        why += f" That its CRPS is lower says how little the odds of {name(best)} are worth here."
    table = _nothing_table(zero, scores[best], best)
    return Section("nothing", "What predicting nothing scores", [Paragraph(text), Paragraph(why), table])


def _closeness(ratio: float) -> str:
    """What the two errors beside each other look like."""
    if ratio > 1.02:
        return "By this measure zero even wins, and that means nothing"
    if ratio > 0.95:
        return "That looks like a draw, and means nothing"
    return "Even where the gap is wide, this measure says little"


def _sentence(given: Given, contest: Contest) -> str:
    quantity, unit = QUANTITY[contest.quantity].lower(), given.unit(contest.quantity)
    error = "mean absolute error (a spend is forecast as a point)" if contest.quantity == "spend" else "CRPS"
    n, most = contest.n_cutoffs, len(given.cutoffs)
    said = "For"
    if n < most:
        where = "Over" if contest.partial else "Where every method has a forecast, over"
        said = f"{where} {n} of {most} cut-offs: for"
    said += f" {quantity} within {contest.horizon}, "
    if contest.winner in contest.empty:
        return said + _beaten(contest, error, unit)
    # Who is tied with others is not called the best of them.
    leads = f"has the lowest {error}:" if contest.tied else f"forecasts best: its {error} is"
    said += f"{name(contest.winner)} {leads} {number(contest.crps)} {unit} a customer"
    against = next((rival for rival in contest.rivals if rival.method == given.reference), None)
    if contest.winner == given.reference:
        said += ", and it is itself the reference. "
    elif against is None:
        said += f"; {name(given.reference)}, the reference, has no such forecast. "
    else:
        said += f", {_against(against, given)}. "
    if not contest.full:
        return said + _alone(contest)
    if contest.tied:
        listed = _some(contest.tied)
        close = (
            "Within noise of it" if _all_noise(contest) else f"Within noise of it or less than {NEGLIGIBLE:.1%} away"
        )
        said += f"{close}: {listed}. "
        choice = [method for method in contest.tied if method not in contest.empty]
        if len(choice) < len(contest.tied):
            said += "So little was bought that this cannot tell it from a forecast of nothing, which is no choice. "
        if not choice:
            return said.rstrip()
        said += "These are tied: choose among them by cost or by what you understand"
        quick = _quickest(given, [contest.winner, *choice])
        return said + (f" ({name(quick)} takes the least time)." if quick else ".")
    rival = contest.full[0]
    if rival.verdict == "":
        return said + f"Next is {name(rival.method)} ({number(rival.crps)}); no resamples say how sure that is."
    return said + (
        f"Next is {name(rival.method)} with {number(rival.crps)} ({change(rival.relative)}), and the difference is "
        "more than noise."
    )


def _beaten(contest: Contest, error: str, unit: str) -> str:
    """What it means that nobody beats a forecast of nothing: nothing good of it."""
    said = (
        f"no method can be trusted: {name(contest.winner)}, which forecasts nothing of anybody, has the lowest {error} "
        f"({number(contest.crps)} {unit} a customer), and plans can hardly be made on nothing. "
    )
    rivals = [rival for rival in contest.full if rival.method not in contest.empty]
    if not rivals:
        return said + _alone(contest)
    first = rivals[0]
    told = {"worse": "more than noise", "within noise": "within noise"}.get(first.verdict)
    return (
        said + f"The best of those that forecast anything is {name(first.method)} with {number(first.crps)} "
        f"({change(first.relative)}{f', {told}' if told else ''})."
    )


def _alone(contest: Contest) -> str:
    return "No other method forecast it" + (" from all cut-offs." if contest.rivals else ".")


def _all_noise(contest: Contest) -> bool:
    return all(rival.verdict == "within noise" for rival in contest.full if rival.is_tied)


def _some(methods: Sequence[str]) -> str:
    """Names, the first few where they are many."""
    more = len(methods) - _MOST_NAMED
    named = [name(method) for method in methods[:_MOST_NAMED]]
    return f"{', '.join(named)} and {more} more" if more > 1 else join([name(method) for method in methods])


def _against(rival: Paired, given: Given) -> str:
    """The reference is a rival of the winner: its difference turned round."""
    part = 1 - rival.other_crps / rival.crps if rival.crps else float("nan")
    below = f"{part:.2%}" if part < 0.001 else share(part)
    told = {"worse": "which is more than noise", "within noise": "which is within noise"}
    return (
        f"{below} below that of {name(given.reference)}, the reference ({number(rival.crps)}), "
        f"{told.get(rival.verdict, 'of which no resamples say how sure it is')}"
    )


def _row(given: Given, contest: Contest) -> list[str]:
    against = next((rival for rival in contest.rivals if rival.method == given.reference), None)
    compared = "is the reference" if contest.winner == given.reference else "–"
    if against is not None and against.crps:
        noise = {"within noise": ", within noise", "worse": ", more than noise"}.get(against.verdict, "")
        compared = f"{change(contest.crps / against.crps - 1)}{noise}"
    following = "–"
    if contest.full:
        rival = contest.full[0]
        noise = {"within noise": ", within noise", "worse": ", more than noise"}.get(rival.verdict, "")
        following = f"{name(rival.method)} ({change(rival.relative)}{noise})"
    tied = _some(contest.tied) or "none"
    what = f"{QUANTITY[contest.quantity]}, {contest.horizon}"
    cutoffs = f"{contest.n_cutoffs} of {len(given.cutoffs)}"
    best = f"none ({name(contest.winner)})" if contest.winner in contest.empty else name(contest.winner)
    return [what, cutoffs, best, number(contest.crps), compared, following, tied]


def _later(given: Given) -> list[Finding]:
    """Methods that lack cut-offs cannot be ranked with the rest; what they did where they were there."""
    sentences = []
    for quantity, horizon in given.cases:
        contest = given.contest(quantity, horizon)
        better = [
            f"{name(rival.method)} ({change(rival.relative)}, {rival.n_cutoffs} of {contest.n_cutoffs} cut-offs)"
            for rival in contest.partial
            if rival.verdict == "better" and not rival.is_tied
        ]
        if better:
            sentences.append(f"{quantity}, {horizon}, against {name(contest.winner)}: {join(better)}")
    if not sentences:
        return []
    text = (
        "Methods that learn from earlier cut-offs, or failed at some, have fewer and are not ranked above. Over "
        f"the cut-offs that both have, by more than noise below the best: {'; '.join(sentences)}."
    )
    return [Finding("note", "Better still, where they forecast", text)]


def _pointless(given: Given) -> list[Finding]:
    """A winner without odds won by its absolute error, which is a reason to look at other measures."""
    sentences = []
    for quantity, horizon in given.cases:
        contest = given.contest(quantity, horizon)
        if quantity != "spend" and contest.winner in contest.points:
            bias = given.scores(quantity, horizon)[contest.winner].get("bias", {}).get("value", float("nan"))
            sentences.append(
                f"{quantity}, {horizon}: {name(contest.winner)}, whose total is off by {share(bias, sign=True)}"
            )
    if not sentences:
        return []
    text = (
        "The CRPS of a method without odds is its mean absolute error, which favours forecasts that are too low: look "
        f"at the bias of the total and at the order of the customers before trusting it. So it is for "
        f"{'; '.join(sentences)}."
    )
    return [Finding("caution", "The best has no odds", text)]


def _periods(given: Given) -> Finding:
    n = len(given.cutoffs)
    wins = [
        f"{name(contest.winner)} had the lowest CRPS of {quantity} ({horizon}) at {contest.wins} of {contest.n_cutoffs}"
        for quantity, horizon in given.cases
        if horizon == given.main
        for contest in [given.whole_contest(quantity, horizon) or given.contest(quantity, horizon)]
    ]
    text = (
        "More than noise means: more than which customers one happens to have. That customers share a season, a "
        f"campaign or a crisis is not in it, and {'one cut-off shows' if n == 1 else f'{n} cut-offs show'} little of "
        f"that. Cut-off by cut-off: {'; '.join(wins)}."
    )
    title = f"{n} cut-off{'s' if n > 1 else ''}: noise between periods is not in these verdicts"
    return Finding("caution" if n < _FEW_CUTOFFS else "note", title, text)


def _missing(given: Given) -> list[Finding]:
    runs = given.result.runs
    failed = runs[runs["status"] == "failed"]
    if failed.empty:
        return []
    methods = list(dict.fromkeys(failed["method"]))
    text = f"{_some(methods)} failed in {len(failed)} of {len(runs)} runs; the errors stand under “What did not run”."
    return [Finding("caution", "Not every method ran", text)]


def _quickest(given: Given, methods: list[str]) -> str | None:
    runs = given.result.runs
    runs = runs[runs["method"].isin(methods) & (runs["status"] == "ok")]
    seconds = runs.groupby("method")[["fit_cpu_seconds", "predict_cpu_seconds"]].sum().sum(axis=1)
    return str(seconds.idxmin()) if len(seconds) > 1 else None


def _zero(scored: dict[str, dict[str, Any]], mean: float, buying: float) -> dict[str, float]:
    """Scores of a forecast of zero: those of the run, or what they must be."""
    known = {"mae": mean, "crps": mean, "bias": -1.0, "spearman": np.nan, "capture_20": 0.2, "brier": buying}
    return known | {metric: float(scored[metric]["value"]) for metric in known if metric in scored}


def _nothing_table(zero: dict[str, float], model: dict[str, dict[str, Any]], best: str) -> Table:
    asked = (
        ("mae", "Mean absolute error", "How far off is the middle of a forecast? Low for whoever says zero."),
        ("bias", "Bias of the total", "Is the total right? −100% means: not one of the purchases was foreseen."),
        ("crps", "CRPS", "How far off is the whole forecast, its odds included?"),
        ("spearman", "Rank correlation", "Do those who will buy more stand higher? One number for all ranks nobody."),
        ("capture_20", "Top 20% capture", "What part of the purchases did the top fifth bring? At random: 20%."),
        ("brier", "Brier score", "Is the chance of buying at all right? Lower is better."),
    )
    rows = []
    for metric, title, question in asked:
        if metric not in model:
            continue
        write = (lambda x: share(x, sign=True)) if metric == "bias" else share if "capture" in metric else number
        rows.append([title, write(zero[metric]), write(float(model[metric]["value"])), question])
    columns = ("Measure", "zero", name(best), "What it asks")
    return Table("Predicting nothing beside a forecast, purchases", columns, rows, numeric=(1, 2))
