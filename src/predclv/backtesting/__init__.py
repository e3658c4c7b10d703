"""Backtests: methods forecast from past dates, and are scored against what customers then did.

`backtest` runs them and gives a `Backtest`; `select` takes the best. A method is a name in `METHODS`, a model, or an
object with `fit` and `predict` (see `Method`) whose forecasts are a `Forecast` or plain columns. `backtest_renewals` is
for contracts.
"""

from __future__ import annotations

from predclv.backtesting.distributions import LEVELS, Counts, Values
from predclv.backtesting.leaks import find_leaks
from predclv.backtesting.methods import METHODS
from predclv.backtesting.predictions import Forecast, Method
from predclv.backtesting.renewals import RenewalBacktest, backtest_renewals
from predclv.backtesting.result import Backtest
from predclv.backtesting.runner import backtest
from predclv.backtesting.selection import Selection, select

__all__ = [
    "LEVELS",
    "METHODS",
    "Backtest",
    "Counts",
    "Forecast",
    "Method",
    "RenewalBacktest",
    "Selection",
    "Values",
    "backtest",
    "backtest_renewals",
    "find_leaks",
    "select",
]
