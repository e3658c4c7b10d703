"""The command `monitor` and its options. What it does stands in `monitor`."""

from __future__ import annotations

from predclv.cli import monitor_options as m
from predclv.cli import option_groups as g
from predclv.cli import options as o
from predclv.cli.console import session
from predclv.cli.groups import spread_groups

__all__ = ["monitor_command"]


@spread_groups
def monitor_command(
    old: m.Old,
    new: m.New,
    *,
    model: m.Model = None,
    new_model: m.NewModel = None,
    compare_models: m.Refit = True,
    alarm_level: m.AlarmLevel = 0.05,
    top: m.Top = 0.2,
    min_value: m.MinValue = None,
    fall: m.Fall = 0.5,
    horizon: o.Horizon = "1 year",
    discount_rate: o.DiscountRate = 0.10,
    margin: m.Margin = "1.0",
    level: o.Level = 0.9,
    seed: m.Seed = 0,
    fail_on: m.FailOn = "never",
    folder: g.Folder,
    common: g.Common,
) -> int:
    """Compare two snapshots: who has fallen silent, what has drifted, whether to fit again; see --fail-on for batch."""
    from predclv.cli import monitor

    options = {
        "alarm_level": alarm_level,
        "top": top,
        "min_value": min_value,
        "fall": fall,
        "horizon": horizon,
        "discount_rate": discount_rate,
        "margin": margin,
        "level": level,
        "random_state": seed,
    }
    with session(common.quiet, common.json) as current:
        what = monitor.Work(
            old, new, model, new_model, compare_models, folder.out, folder.force, folder.report, fail_on
        )
        return monitor.show(current, what, options, title=folder.title)
