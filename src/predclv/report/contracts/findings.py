"""What to distrust: the assumptions on contracts, checked, each finding in plain words with its numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from predclv.checks import PredictiveCheck
from predclv.data.frames import PANDAS
from predclv.errors import PredCLVWarning
from predclv.models.bdw import BDW
from predclv.models.sbg import SBG
from predclv.plots.style import percent, printable
from predclv.report.blocks import Block, Details, Finding, Findings, Paragraph, Section
from predclv.report.contracts.inputs import ContractInputs
from predclv.value import CLV

__all__ = ["distrust"]

_ORDER = ("caution", "note", "fine")
_NOTABLE = 0.05
# The likelihood ratio's 95 % point, one degree of freedom.
_MORE_THAN_CHANCE = 3.84
# A difference of totals that may change a decision.
_MATTERS = 0.05
_DRIFT = "mean place of the lost among cohorts, 0 (oldest) to 1"
_RETURNED = "contracts of customers who came back"

# Quantity of the check, what it means where it is missed, and where it is not.
_QUANTITIES = (
    (
        "lost by renewal (chi-squared)",
        "Losses by renewal are not the model's shape",
        "At some renewals more, or fewer, customers left than the model can bring about ({p}): a trial that "
        "ends, a contract that runs out, a discount that stops. Forecasts at these renewals are off.",
        "Losses by renewal are as the model says",
    ),
    (
        "lost by cohort (chi-squared)",
        "Cohorts differ from each other",
        "More left of some cohorts, and fewer of others, than chance explains ({p}). One model speaks of all of "
        "them here: model kinds of customers apart, by a segment, and see which the new ones are like.",
        "Cohorts are alike",
    ),
    (
        _DRIFT,
        "Newer customers are not like older ones",
        "{newer} cohorts lose more than the model expects ({p}). Retention seen on old customers {side} that of "
        "new ones.",
        "Newer customers leave as older ones did",
    ),
    (
        "lost by calendar period (chi-squared)",
        "There were times in which many left, or few",
        "Losses are more uneven over the calendar than chance explains ({p}): a new price, a competitor, a "
        "campaign, a season. The model does not know of such times, and its intervals do not hold the next one.",
        "Losses are even over the calendar",
    ),
)


def distrust(given: ContractInputs) -> Section:
    """All findings, the gravest first, and the warnings of the run."""
    found = [
        *_checked(given),
        *_other_model(given),
        *_horizon(given),
        *_convergence(given),
        *_notice(given),
        *_returned(given),
        _few(given),
        Finding(
            "note",
            "Prices are taken to stay as they are",
            "Each contract is valued at the price it has now. A new price changes revenue, and who renews.",
        ),
    ]
    blocks: list[Block] = [
        Paragraph(
            "The model knows how often each contract was renewed and which have ended. It takes for granted that who "
            "comes to a renewal is like those who came to it before, and that nothing else changes. These are the "
            "points where that may fail, checked on these contracts."
        ),
        Findings(sorted(found, key=lambda finding: _ORDER.index(finding.grade))),
    ]
    if given.messages:
        notes = [Paragraph(printable(text)) for text in given.messages]
        blocks.append(Details(f"Warnings of this run ({len(given.messages)})", notes))
    return Section("distrust", "What to distrust", blocks)


def _checked(given: ContractInputs) -> Iterator[Finding]:
    check = given.check
    if not isinstance(check, PredictiveCheck):
        yield Finding("caution", "Cohorts and times are not checked", printable(check))
        return
    rows = {row["quantity"]: row for row in check.p_values.to_dict("records")}
    for name, missed, text, fine in _QUANTITIES:
        # The order of a table of cohorts need not be that of time.
        if name not in rows or (name == _DRIFT and given.subs.start is None):
            continue
        row = rows[name]
        p = float(row["p_value"])
        if p < _NOTABLE:
            newer = row["observed"] > row["expected"]
            said = text.format(
                p="p < 0.01" if p < 0.01 else f"p = {p:.2f}",
                newer="Newer" if newer else "Older",
                side="flatters" if newer else "understates",
            )
            yield Finding("caution", missed, said)
        else:
            yield Finding("fine", fine, f"No more than chance explains (p = {p:.2f}).")


def _other_model(given: ContractInputs) -> Iterator[Finding]:
    """The total under the model with, or without, a customer who changes with tenure: how much hangs on it."""
    mine = given.model
    alone = isinstance(mine, SBG)
    total, ratio = _under_the_other(given)
    change = total / max(float(given.total["expected_clv"]), 1e-300) - 1.0
    says = (
        f"{'BDW' if alone else 'SBG'}, in which the chance of a single customer to leave "
        f"{'changes with tenure' if alone else 'stays what it is'}, expects {given.money(total)} {given.within}, "
        f"{percent(change, sign=True)}. Twice the log of the ratio of their likelihoods is {max(ratio, 0.0):.1f}; "
        f"above {_MORE_THAN_CHANCE} it speaks for BDW."
    )
    if alone and ratio > _MORE_THAN_CHANCE:
        title = "A single customer seems to change with tenure"
        yield Finding("caution", title, f"{says} Take BDW for the forecast (--renewals bdw).")
    elif abs(change) > _MATTERS:
        yield Finding("note", "The choice of the model matters", says)
    else:
        yield Finding("fine", "The other model says nearly the same", says)


def _under_the_other(given: ContractInputs) -> tuple[float, float]:
    """The total by the other model, and twice the logarithm of the ratio of BDW's likelihood to SBG's."""
    mine, subs = given.model, replace(given.subs, backend=PANDAS)
    with warnings.catch_warnings():
        # What these fits warn of is not about the model that is reported on.
        warnings.simplefilter("ignore", PredCLVWarning)
        fits = [CLV(model).fit(subs) for model in (SBG(), BDW())]
        table = fits[isinstance(mine, SBG)].predict(
            subs, given.horizon, discount_rate=given.discount_rate, margin=given.margin, level=given.level
        )
    total = float(np.sum(subs.weight * table["expected_clv"].to_numpy()))
    scores = [clv.score(subs) for clv in fits]
    return total, 2.0 * subs.n_customers * (scores[1] - scores[0])


def _horizon(given: ContractInputs) -> Iterator[Finding]:
    seen = given.duration(given.seen)
    if not given.finite:
        late = percent(given.total["share_beyond_3_years"])
        yield Finding(
            "caution",
            "Most of forever has not been seen",
            f"The horizon is infinite; no contract has been seen for more than {seen}. {late} of the value lies beyond "
            "three years, where it is the model's assumptions that speak and no data.",
        )
    elif given.horizon.length > given.seen:
        yield Finding(
            "caution",
            "The horizon is longer than the data",
            f"The forecast reaches {given.duration(given.horizon.length)} ahead; no contract has been seen for more "
            f"than {seen}. How customers renew at greater tenures is extrapolated.",
        )


def _convergence(given: ContractInputs) -> Iterator[Finding]:
    ran = dict(given.model.posterior_.fit_diagnostics.get("runaway", {}))
    if ran:
        names = ", ".join(f"{name} {'→ ∞' if side == 'high' else '→ 0'}" for name, side in ran.items())
        yield Finding(
            "caution",
            f"The data do not determine {type(given.model).__name__}",
            f"The best fit lies at an edge ({names}). Forecasts understate how uncertain they are; more customers or "
            "periods would settle it.",
        )


def _notice(given: ContractInputs) -> Iterator[Finding]:
    subs = given.subs
    early = float(subs.weight[subs.ended & ~subs.lost].sum())
    if early:
        yield Finding(
            "note",
            "Some have ended before their renewal came up",
            f"{early:,.0f} contracts ended within their period. They are worth nothing more, and the fit counts them "
            "as undecided, as it does those who run: who will not give notice is not known either.",
        )


def _returned(given: ContractInputs) -> Iterator[Finding]:
    quality = given.subs.quality
    back = int(quality.loc[quality["what"] == _RETURNED, "count"].sum()) if len(quality) else 0
    if back:
        yield Finding(
            "note",
            "Some customers came back",
            f"{back:,} contracts are of customers who had one before. Each counts as new; that those who have left may "
            "return is not in any forecast here.",
        )


def _few(given: ContractInputs) -> Finding:
    lost = float(given.subs.weight[given.subs.lost].sum())
    text = (
        f"{lost:,.0f} of {given.subs.n_customers:,.0f} contracts ended at a renewal: what the model has learnt of "
        "leaving, it has learnt from them."
    )
    grade = "caution" if lost < 50 else "note" if lost < 200 else "fine"
    title = "Few losses inform the model" if lost < 200 else "Enough losses for the intervals' approximation"
    return Finding(grade, title, text)  # type: ignore[arg-type]
