"""Methods by name: our models by every inference, baselines, other packages, machine learning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from predclv.data.checks import quote_list, suggest
from predclv.errors import DataError
from predclv.models import MODELS

__all__ = ["METHODS", "Candidate", "settle_methods"]

#: Suffixes of our models' names, and the inference they stand for.
_INFERENCES = {"": "mle", "_map": "map", "_mcmc": "mcmc", "_auto": "auto"}


@dataclass(frozen=True)
class _Entry:
    """Where a method is found; `package` is what it needs besides ours, `extra` what brings that."""

    module: str
    maker: str
    arguments: tuple[Any, ...] = ()
    package: str | None = None
    extra: str | None = None


def _ours() -> Iterator[tuple[str, _Entry]]:
    for key, model in MODELS.items():
        if model.KIND == "transactions":
            for suffix, inference in _INFERENCES.items():
                package, extra = ("pymc", "bayes") if inference == "mcmc" else (None, None)
                yield key + suffix, _Entry("ours", "make_ours", (key, inference, key + suffix), package, extra)


def _lifetimes(model: str) -> _Entry:
    return _Entry("lifetimes", "LifetimesMethod", (model,), "lifetimes", "lifetimes")


METHODS: Mapping[str, _Entry] = {
    **dict(_ours()),
    "zero": _Entry("baselines", "Zero"),
    "naive": _Entry("baselines", "Naive"),
    "historical_average": _Entry("baselines", "HistoricalAverage"),
    "formula": _Entry("baselines", "Formula"),
    "marginal": _Entry("baselines", "Marginal"),
    "lifetimes_bg_nbd": _lifetimes("bg_nbd"),
    "lifetimes_mbg_nbd": _lifetimes("mbg_nbd"),
    "lifetimes_pareto_nbd": _lifetimes("pareto_nbd"),
    "pymc_marketing_bg_nbd": _Entry("pymc_marketing", "PymcMarketingMethod", ("bg_nbd",), "pymc_marketing", "peers"),
    "clvkit_bg_nbd": _Entry("clvkit", "ClvkitMethod", ("bg_nbd",), "clvkit", "peers"),
    "gradient_boosting": _Entry("learning", "GradientBoosting"),
    "random_forest": _Entry("learning", "RandomForest"),
    "linear": _Entry("learning", "Linear"),
}
"""Where each method known by name is made."""


@dataclass(frozen=True)
class Candidate:
    """A method that takes part in a backtest.

    Attributes
    ----------
    name : str
        How results call it.
    method : object
        With `fit` and `predict`; None where it is skipped.
    skipped : str
        Why it cannot run here; empty where it can.
    """

    name: str
    method: Any
    skipped: str = ""

    @property
    def needs_amounts(self) -> bool:
        """Whether it is of no use on a log without amounts."""
        return bool(getattr(self.method, "needs_amounts", False))

    @property
    def needs_log_itt(self) -> bool:
        """Whether it reads the times between purchases from the summary."""
        return bool(getattr(self.method, "needs_log_itt", False))


def settle_methods(methods: Sequence[Any] | Mapping[str, Any] | str, random_state: int) -> list[Candidate]:
    """Make the methods asked for.

    Parameters
    ----------
    methods : sequence of names and objects, mapping of name to name or object, or one of them
        Objects are unfitted models of ours, a CLV, or anything with `fit` and `predict`.
    random_state : int
        Seed of those known by name.

    Raises
    ------
    DataError
        A name is not known, or two methods have one.
    TypeError
        An object has no `fit` and `predict`, is a model that does not forecast purchases, or a name is no text.
    """
    if isinstance(methods, str | type) or hasattr(methods, "fit"):
        methods = [methods]
    pairs = list(methods.items()) if isinstance(methods, Mapping) else [(None, method) for method in methods]
    if not pairs:
        raise DataError(f"'methods' is empty. Known by name are {quote_list(METHODS)}.")
    for name, _ in pairs:
        if name is not None and (not isinstance(name, str) or not name):
            raise TypeError(f"methods={{{name!r}: ...}}: a name is text that is not empty.")
    candidates = [_make(name, method, random_state) for name, method in pairs]
    names = [candidate.name for candidate in candidates]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"Two methods are called {name!r}. Name them: methods={{'one': ..., 'other': ...}}.")
    return candidates


def _make(name: str | None, method: Any, random_state: int) -> Candidate:
    if isinstance(method, str):
        return _make_known(name or method, method, random_state)
    if isinstance(method, type):
        raise TypeError(f"{method.__name__} is a class: give an object, {method.__name__}().")
    from predclv.backtesting.methods.ours import OurMethod
    from predclv.models.transactions import TransactionModel
    from predclv.value import CLV

    model = method.transactions if isinstance(method, CLV) and method.transactions is not None else method
    if isinstance(model, TransactionModel | CLV):
        method = OurMethod(method)
    elif isinstance(model, tuple(MODELS.values())):
        raise TypeError(
            f"{type(model).__name__} forecasts no purchases from a log. Give a transaction model, or a CLV of one; "
            "renewals of contracts have backtest_renewals."
        )
    for call in ("fit", "predict"):
        if not callable(getattr(method, call, None)):
            raise TypeError(f"A method needs fit(rfm, log) and predict(rfm, log, horizon); {method!r} has no {call}.")
    return Candidate(name or str(getattr(method, "name", type(method).__name__)), method)


def _make_known(name: str, key: str, random_state: int) -> Candidate:
    if key not in METHODS:
        raise DataError(f"There is no method {key!r}.{suggest(key, METHODS)} Known are {', '.join(METHODS)}.")
    entry = METHODS[key]
    if entry.package is not None and find_spec(entry.package) is None:
        return Candidate(name, None, f"needs {entry.package}: pip install 'predclv[{entry.extra}]'")
    make: Callable[..., Any] = getattr(import_module(f"{__name__}.{entry.module}"), entry.maker)
    method = make(*entry.arguments)
    if hasattr(method, "random_state"):
        method.random_state = random_state
    return Candidate(name, method)
