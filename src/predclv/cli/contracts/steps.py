"""The steps that the commands on contracts share: read, forecast, write."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import predclv as pc
from predclv.cli.steps import MANIFEST, Forecast, given, manifest_text
from predclv.cli.tables import write_table
from predclv.data.frames import PANDAS
from predclv.data.paths import is_path, open_path
from predclv.data.periods import parse_periods
from predclv.data.units import read_units
from predclv.errors import DataError, HorizonWarning, UnitError
from predclv.files import replace_folder, write_text
from predclv.models.contracts.inputs import revenue_periods

if TYPE_CHECKING:
    from predclv.data.subscriptions import Subscriptions
    from predclv.models.contracts.model import ContractModel
    from predclv.value import CLV

__all__ = [
    "Results",
    "curve_beside_data",
    "forecast",
    "predict",
    "read_subscriptions",
    "recurring_revenue",
    "write_results",
    "write_subscriptions",
]

_OF_LOGS = ("start", "end", "returning", "after_end", "on_null", "time_zone", "date_format")
_OF_COHORTS = ("cohort", "values", "size")
_UNITS = ("period", "observation_end", "currency")


@dataclass(frozen=True)
class Results:
    """What a run found: subscriptions, the fitted model, and tables; `revenue` is None where no period fits."""

    subs: Subscriptions
    clv: CLV
    customers: pd.DataFrame
    portfolio: pd.DataFrame
    retention: pd.DataFrame
    tenures: pd.DataFrame | None
    revenue: pd.DataFrame | None
    forecast: Forecast

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Those that are written as CSV, by file."""
        found = {
            "portfolio.csv": self.portfolio,
            "retention.csv": self.retention,
            "tenure.csv": self.tenures,
            "revenue.csv": self.revenue,
            "quality.csv": self.subs.quality,
        }
        return {name: table for name, table in found.items() if table is not None}


def read_subscriptions(table: str, data: dict[str, Any], keep: Sequence[str] = ()) -> Subscriptions:
    """Read a log (with a start), a table of cohorts, or a ready table; `keep` are further columns to carry."""
    options = given(**{**data, "cohorts": None, "carry": list(data.get("carry") or ())})
    if data.get("cohorts"):
        return _read_cohorts(table, options, keep)
    _refuse(options, _OF_COHORTS, "a table of cohorts, which needs --cohorts too")
    carry = list(dict.fromkeys([*options.pop("carry", ()), *keep]))
    if "start" in options:
        return pc.Subscriptions.from_log(table, carry=carry, **options)
    _refuse(options, _OF_LOGS, "a log, which needs --start too")
    units = read_units(Path(table))
    for name in sorted(set(units) & set(options)):
        if units[name] != options[name]:
            flag = _flag(name)
            raise UnitError(
                f"'{table}' was made with {flag} {units[name]}, not {options[name]}. Leave {flag} out, or summarise "
                "the log anew."
            )
    # That prices are asked for by name is for logs; a ready table calls them so.
    try:
        return pc.Subscriptions.from_frame(table, carry=carry, **{**units, **options})
    except DataError as error:
        if "tenure='tenure'" not in str(error):
            raise
        raise DataError(f"{error} A log needs --start, and a table of cohorts --cohorts.") from error


def _read_cohorts(table: str, options: dict[str, Any], keep: Sequence[str]) -> Subscriptions:
    _refuse(options, ("customer_id", "carry", *_OF_LOGS), "contracts one by one, and a cohort has none")
    if wrong := [name for name in keep if name != "cohort"]:
        raise DataError(f"A table of cohorts has no column {wrong[0]!r} of contracts; 'cohort' is the only one.")
    if "price" in options:
        try:
            options["price"] = float(options["price"])
        except ValueError as error:
            raise DataError(f"--price {options['price']} must be a number where --cohorts is given.") from error
    frame: Any = open_path(table) if is_path(table) else table
    return replace(pc.Subscriptions.from_cohorts(frame, **options), backend=PANDAS)


def _refuse(options: dict[str, Any], names: Sequence[str], what: str) -> None:
    for name in names:
        if name in options:
            raise DataError(f"{_flag(name)} is about {what}.")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def write_subscriptions(subs: Subscriptions, path: Path) -> None:
    """Write subscriptions as a table; Parquet keeps their units."""
    units = {name: getattr(subs, name) for name in _UNITS}
    write_table(subs.to_pandas(), path, {name: str(unit) for name, unit in units.items() if unit is not None})


def forecast(subs: Subscriptions, clv: CLV, what: Forecast) -> Results:
    """Forecast each contract, all of them, retention, tenures and revenue."""
    options: dict[str, Any] = {"discount_rate": what.discount_rate, "margin": what.margin, "level": what.level}
    model: ContractModel = clv.transactions_
    return Results(
        subs,
        clv,
        predict(clv, subs, what.horizon, **options),
        clv.portfolio(subs, what.horizon, by=what.by, **options),
        curve_beside_data(model, subs, what.horizon, what.level),
        tenure_table(model, subs, what.discount_rate, what.level, what.horizon),
        recurring_revenue(model, subs, what.horizon, what.level),
        what,
    )


def predict(model: CLV | ContractModel, subs: Subscriptions, horizon: Any, **options: Any) -> pd.DataFrame:
    """Forecast each contract: the model's table, and beside it the columns that say which contract a row is."""
    table: pd.DataFrame = model.predict(subs, horizon, **options)
    beside: dict[str, Any] = {"tenure": subs.tenure}
    if subs.start is not None:
        beside["start"] = subs.start
    if (subs.weight != 1).any():
        beside["weight"] = subs.weight
    return table.assign(**beside, **{name: column for name, column in subs.carried.items() if name not in table})


def curve_beside_data(model: ContractModel, subs: Subscriptions, horizon: Any, level: float) -> pd.DataFrame:
    """Retention of new customers, as far as data and horizon reach, with who came and renewed."""
    seen = int((subs.tenure + subs.lost).max())
    length = parse_periods(horizon, subs.period, subs.observation_end).length
    periods = max(seen + (int(length) if np.isfinite(length) else seen), 1)
    observed = subs.observed_retention().rename(
        columns={"retention": "observed_retention", "survival": "observed_survival"}
    )
    return model.retention_curve(periods, level=level).merge(observed, on="period", how="left")


def tenure_table(
    model: ContractModel, subs: Subscriptions, discount_rate: float, level: float, horizon: Any
) -> pd.DataFrame | None:
    """What to expect by tenure, for ever where money is discounted; None where nobody runs."""
    if subs.ended.all():
        return None
    endless = np.inf if discount_rate > 0 else horizon
    return model.by_tenure(subs, endless, discount_rate=discount_rate, level=level)


def recurring_revenue(model: ContractModel, subs: Subscriptions, horizon: Any, level: float) -> pd.DataFrame | None:
    """Recurring revenue over the horizon; None where no period fits, nobody runs or there are no prices."""
    periods = revenue_periods(parse_periods(horizon, subs.period, subs.observation_end), subs)
    if periods is None:
        return None
    with warnings.catch_warnings():
        # The forecast of the contracts has the same horizon and has warned of it.
        warnings.simplefilter("ignore", HorizonWarning)
        return model.recurring_revenue(subs, periods, level=level)


def write_results(
    results: Results, out: Path, *, force: bool, report: bool, title: str | None, messages: Sequence[str]
) -> list[str]:
    """Write all results into one folder, whole or not at all; return the names in it."""
    with replace_folder(out, manifest=MANIFEST, keep_others=force) as folder:
        write_table(results.customers, folder / "customers.parquet")
        write_table(results.customers, folder / "customers.csv")
        for name, table in results.tables.items():
            write_table(table, folder / name)
        results.clv.save(folder / "model")
        if report:
            pc.write_report(
                folder / "report.html",
                clv=results.clv,
                rfm=results.subs,
                customers=results.customers,
                portfolio=results.portfolio,
                title=title,
                warnings=messages,
                **asdict(results.forecast),
            )
        names = sorted([entry.name for entry in folder.iterdir()] + [MANIFEST])
        write_text(folder / MANIFEST, manifest_text("contracts run", results.forecast, names))
    return names
