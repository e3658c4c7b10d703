"""The steps that the commands share: read, forecast, write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import pandas as pd

import predclv as pc
from predclv.cli.tables import write_table
from predclv.data.checks import check_option
from predclv.data.timeline import purchase_timeline
from predclv.data.units import UNITS, read_units
from predclv.errors import DataError, UnitError
from predclv.files import check_replaceable, replace_folder, write_text
from predclv.inference.posterior import check_level

if TYPE_CHECKING:
    from predclv.data.rfm import RFMSummary
    from predclv.data.split import Split
    from predclv.models.base import Model
    from predclv.models.transactions import TransactionModel
    from predclv.value import CLV

__all__ = [
    "UNITS",
    "Forecast",
    "Models",
    "Results",
    "check_output",
    "effects",
    "flag_of",
    "forecast",
    "given",
    "manifest_text",
    "model_columns",
    "number_or_text",
    "predict",
    "read_summary",
    "read_timeline",
    "require_opportunities",
    "summarize",
    "write_results",
    "write_summary",
]

MANIFEST = "predclv.json"


@dataclass(frozen=True)
class Forecast:
    """What to forecast; `horizon` and `margin` are numbers where they read as such."""

    horizon: Any = "1 year"
    discount_rate: float = 0.10
    margin: float | str = 1.0
    level: float = 0.9
    by: str | None = None

    def __post_init__(self) -> None:
        check_level(self.level)
        object.__setattr__(self, "horizon", number_or_text(self.horizon))
        object.__setattr__(self, "margin", number_or_text(self.margin))

    @property
    def columns(self) -> list[str]:
        """Columns about the customer that the forecast needs."""
        return [column for column in (self.margin, self.by) if isinstance(column, str)]


@dataclass(frozen=True)
class Results:
    """What a run found: summary, fitted models, tables, purchases over time, and the holdout if there was one."""

    rfm: RFMSummary
    clv: CLV
    customers: pd.DataFrame
    portfolio: pd.DataFrame
    forecast: Forecast
    timeline: pd.DataFrame | None = None
    holdout: Split | None = None


def given(**options: Any) -> dict[str, Any]:
    """Options that were given; the others are left to the defaults of the API."""
    return {name: value for name, value in options.items() if value is not None and value != []}


def number_or_text(value: Any) -> Any:
    """Return a float where `value` reads as one, else `value` itself."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def require_opportunities(transactions: str, options: dict[str, Any]) -> None:
    """Raise DataError where a model that counts opportunities is to be fitted on a log that is not to be so counted."""
    if transactions == pc.BGBB.KEY and options.get("date") is not None and options.get("opportunities") is None:
        raise DataError(
            f"--transactions {transactions} counts opportunities to buy, each used or not. Say what they are: "
            "--opportunities year, for instance."
        )


@dataclass(frozen=True)
class Models:
    """What to fit, as options have it: covariates between commas, a penalty that is a number or "cv"."""

    transactions: str = "bg_nbd"
    method: str = "mle"
    segment: str | None = None
    purchase_covariates: str | None = None
    dropout_covariates: str | None = None
    penalty: str | None = None

    @property
    def covariates(self) -> dict[str, list[str]]:
        """Columns by what they move; DataError where an option names none."""
        asked = {name: getattr(self, name) for name in ("purchase_covariates", "dropout_covariates")}
        found = {
            name: [column.strip() for column in text.split(",") if column.strip()]
            for name, text in asked.items()
            if text is not None
        }
        for name, columns in found.items():
            if not columns:
                raise DataError(f"{flag_of(name)} names no column: {asked[name]!r}. Give columns between commas.")
        return found

    @property
    def columns(self) -> list[str]:
        """Columns about the customer that a fit needs."""
        own = [] if self.segment is None else [self.segment]
        return list(dict.fromkeys([*own, *(column for columns in self.covariates.values() for column in columns)]))

    def unfitted(self) -> CLV:
        """Return the models to fit; the step around them shows that something goes on, so a sampler need not."""
        settings: dict[str, Any] = {"method": self.method, "segment": self.segment, "progressbar": False}
        known = [key for key, model in pc.MODELS.items() if model.KIND == "transactions"]
        if self.transactions in pc.MODELS:
            refuse_contracts(pc.MODELS[self.transactions](), f"--transactions {self.transactions}")
        check_option("transactions", self.transactions, known)
        model = pc.MODELS[self.transactions]
        own = given(**self.covariates, penalty=number_or_text(self.penalty))
        if unknown := [name for name in own if name not in model().get_params()]:
            able = ", ".join(key for key in known if unknown[0] in pc.MODELS[key]().get_params())
            raise DataError(
                f"--transactions {self.transactions} takes no covariates: leave {flag_of(unknown[0])} out, or take one "
                f"of {able}."
            )
        return pc.CLV(model(**settings, **own), pc.GammaGamma(**settings))


def refuse_contracts(model: CLV | Model, what: str) -> None:
    """Raise DataError for a model of contracts: the commands read purchase logs."""
    own = model.get_params()["transactions"] if isinstance(model, pc.CLV) else model
    if own is not None and own.KIND == "contract":
        raise DataError(
            f"{what} forecasts renewals of contracts ({type(own).__name__}), and this command reads purchase logs. See "
            "`predclv contracts --help`."
        )


def model_columns(model: CLV | Model) -> list[str]:
    """Columns about the customer that a fitted model asks for: segments with parameters of their own, covariates."""
    models = [model.transactions_, model.spend_] if isinstance(model, pc.CLV) else [model]
    found = [one.segment for one in models if one.segment is not None]
    covariates = getattr(models[0], "covariates_", None)
    return list(dict.fromkeys([*found, *([] if covariates is None else covariates.sources)]))


def effects(model: CLV | Model) -> list[str]:
    """What covariates do, a sentence each; none where a fitted model has no covariates."""
    transactions = model.transactions_ if isinstance(model, pc.CLV) else model
    has_covariates = getattr(transactions, "covariates_", None) is not None
    return transactions.effects["meaning"].tolist() if has_covariates else []


def summarize(log: str, keep: Sequence[str] = (), **options: Any) -> RFMSummary:
    """Summarise a log file; `keep` are columns to carry besides those asked for."""
    return pc.RFMSummary.from_transactions(log, **given(**_carrying(options, keep)))


def read_timeline(log: Any, **options: Any) -> pd.DataFrame:
    """Count the purchases of each day, or opportunity, for the report; options as in `summarize`."""
    by = "day" if options.get("opportunities") is None else None
    return purchase_timeline(log, by=by, **given(**{**options, "carry": None}))


def read_summary(table: str, keep: Sequence[str] = (), **options: Any) -> RFMSummary:
    """Read the table that `write_summary` wrote, any table of frequency, recency and T, or (with a date) a log."""
    if options.get("date") is not None:
        if options.get("customer_id") is None:
            raise DataError("--date means a purchase log, which needs --customer-id too.")
        return summarize(table, keep, **options)
    asked = given(**options)
    for name in sorted(set(asked) - {"customer_id", "carry", *UNITS}):
        raise DataError(f"{flag_of(name)} is about a purchase log, which needs --date too.")
    units = read_units(Path(table))
    for name in sorted(set(units) & set(asked)):
        if units[name] != asked[name]:
            raise UnitError(
                f"'{table}' was made with {flag_of(name)} {units[name]}, not {asked[name]}. "
                f"Leave {flag_of(name)} out, or summarise the log anew."
            )
    if not {"time_unit", "opportunities"} & {*units, *asked}:
        raise DataError(f"'{table}' does not say in which unit its recency and T are. Give --time-unit.")
    return pc.RFMSummary.from_frame(table, **given(**_carrying({**units, **asked}, keep)))


def write_summary(rfm: RFMSummary, path: Path) -> None:
    """Write a summary as a table; Parquet keeps its units."""
    write_table(rfm.to_pandas(), path, {name: getattr(rfm, name) for name in UNITS})


def forecast(
    rfm: RFMSummary,
    clv: CLV,
    what: Forecast,
    timeline: pd.DataFrame | None = None,
    holdout: Split | None = None,
) -> Results:
    """Forecast each customer and the portfolio."""
    options: dict[str, Any] = {"discount_rate": what.discount_rate, "margin": what.margin, "level": what.level}
    customers = predict(clv, rfm, what.horizon, **options)
    portfolio = clv.portfolio(rfm, what.horizon, by=what.by, **options)
    return Results(rfm, clv, customers, portfolio, what, timeline, holdout)


def predict(model: CLV | TransactionModel, rfm: RFMSummary, horizon: Any, **options: Any) -> pd.DataFrame:
    """Forecast each customer: the model's table, and the carried columns beside it."""
    native: Any = model.predict(rfm, horizon, **options)
    table: pd.DataFrame = nw.from_native(native, eager_only=True).to_pandas()
    return table.assign(**{name: column for name, column in rfm.carried.items() if name not in table})


def check_output(log: str | None, out: Path, force: bool, report: bool) -> None:
    """Raise now rather than after the work: a folder that may not be written, a report that cannot be made."""
    if log is not None and Path(log).resolve().parent == out.resolve():
        raise DataError(f"The log lies in '{out}', where the results go. Give another folder for the results.")
    if not force:
        try:
            check_replaceable(out, MANIFEST)
        except FileExistsError as error:
            raise FileExistsError(
                f"{error} With --force, predclv replaces its own files there and no other."
            ) from error
    if report and find_spec("jinja2") is None:
        raise ImportError("The report needs jinja2: pip install 'predclv[report]', or give --no-report.")


def write_results(
    results: Results, out: Path, command: str, *, force: bool, report: bool, title: str | None, messages: Sequence[str]
) -> list[str]:
    """Write all results into one folder, whole or not at all; return the names in it."""
    with replace_folder(out, manifest=MANIFEST, keep_others=force) as folder:
        write_table(results.customers, folder / "customers.parquet")
        write_table(results.customers, folder / "customers.csv")
        write_table(results.portfolio, folder / "portfolio.csv")
        write_table(results.rfm.quality, folder / "quality.csv")
        write_summary(results.rfm, folder / "summary.parquet")
        results.clv.save(folder / "model")
        if report:
            _write_report(results, folder / "report.html", title, messages)
        names = sorted([entry.name for entry in folder.iterdir()] + [MANIFEST])
        write_text(folder / MANIFEST, manifest_text(command, results.forecast, names))
    return names


def _write_report(results: Results, path: Path, title: str | None, messages: Sequence[str]) -> None:
    pc.write_report(
        path,
        clv=results.clv,
        rfm=results.rfm,
        customers=results.customers,
        portfolio=results.portfolio,
        timeline=results.timeline,
        holdout=results.holdout,
        title=title,
        warnings=messages,
        **asdict(results.forecast),
    )


def manifest_text(command: str, what: Forecast, names: list[str]) -> str:
    """What a folder of results says of itself, as JSON."""
    content: Mapping[str, Any] = {
        "made_by": f"predclv {pc.__version__}",
        "command": command,
        "forecast": {k: str(v) if v == float("inf") else v for k, v in asdict(what).items()},
        "files": names,
    }
    return json.dumps(content, indent=2) + "\n"


def _carrying(options: dict[str, Any], keep: Sequence[str]) -> dict[str, Any]:
    return {**options, "carry": list(dict.fromkeys([*(options.get("carry") or ()), *keep]))}


def flag_of(name: str) -> str:
    """An option's name as it is on the command line."""
    return "--" + name.replace("_", "-")
