"""The sections of a report on decisions, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from predclv.decisions.report.acquisition import acquisition
from predclv.decisions.report.budget import budget
from predclv.decisions.report.cohorts import cohorts
from predclv.decisions.report.drivers import drivers
from predclv.decisions.report.experiments import experiment
from predclv.decisions.report.formulas import formulas
from predclv.decisions.report.inputs import DecisionInputs
from predclv.decisions.report.parts import LeftOut, Part
from predclv.decisions.report.retention import retention
from predclv.decisions.report.segments import segments

__all__ = ["SECTIONS"]

#: By the names that decisions.json has for them.
SECTIONS: Mapping[str, Callable[[DecisionInputs], Part | LeftOut]] = {
    "acquisition": acquisition,
    "budget": budget,
    "retention": retention,
    "segments": segments,
    "cohorts": cohorts,
    "formulas": formulas,
    "drivers": drivers,
    "experiment": experiment,
}
