"""The command `decide` and its options. What it does stands in `decide`."""

from __future__ import annotations

from dataclasses import asdict

from predclv.cli import decide_options as d
from predclv.cli import option_groups as g
from predclv.cli import options as o
from predclv.cli.console import session
from predclv.cli.groups import spread_groups

__all__ = ["decide_command"]


@spread_groups
def decide_command(
    log: o.LogOfAnySize,
    data: g.DecideLog,
    *,
    by: d.By = None,
    transactions: d.Transactions = None,
    method: d.Method = None,
    model: d.ModelFolder = None,
    horizon: o.Horizon = "3 years",
    discount_rate: o.DiscountRate = 0.10,
    margin: d.Margin = 1.0,
    level: o.Level = 0.9,
    cac: d.Cac = None,
    target: d.Target = 3.0,
    confidence: d.Confidence = 0.9,
    budget: d.Budget = None,
    curves: d.Curves = None,
    arrivals: d.Arrivals = None,
    offer_cost: d.OfferCost = None,
    lift: d.OfferLift = None,
    top: d.Top = 10,
    tiers: d.Tiers = "4",
    backtest_horizon: d.BacktestHorizon = "26 weeks",
    drivers: d.Drivers = None,
    arm: d.Arm = None,
    arm_start: d.ArmStart = None,
    control: d.Control = None,
    detect: d.Detect = None,
    out: o.Out,
    title: o.Title = None,
    memory_limit: d.MemoryLimit = "1GB",
    spill: d.Spill = None,
    force: o.Force = False,
    common: g.Common,
) -> None:
    """From a purchase log of any size to decisions: what may be paid for a customer, whom to keep, and how sure."""
    from predclv.cli import decide
    from predclv.cli import decide_values as values

    with session(common.quiet, common.json) as current:
        values.require_amount(data.amount)
        asked = {
            "cac": values.read_amounts(cac),
            "target": target,
            "confidence": confidence,
            "budget": budget,
            "curves": values.read_curves(curves),
            "arrivals": values.read_amounts(arrivals, "--arrivals"),
            "offer_cost": offer_cost,
            "offer_lift": lift,
            "top": top,
            "tiers": values.read_tiers(tiers),
            "backtest_horizon": backtest_horizon,
            "drivers": values.read_names("drivers", drivers),
            "arm": arm,
            "arm_start": arm_start,
            "control": control,
            "detect": detect,
            "carry": tuple(data.carry or ()),
        }
        what = {"horizon": horizon, "discount_rate": discount_rate, "margin": margin, "level": level, "by": by}
        models = decide.Models(transactions, method, model)
        place = decide.Place(out, force, memory_limit, spill)
        decide.show(current, log, asdict(data), what, asked, models, place, title=title)
