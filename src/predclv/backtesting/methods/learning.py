"""Machine learning with scikit-learn: gradient boosting, a random forest, and a regularised linear baseline."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import pandas as pd

from predclv.backtesting.methods.forest import Leaves, grow_leaves
from predclv.backtesting.methods.learner import Learner
from predclv.backtesting.methods.training import Terms, TrainingSet
from predclv.backtesting.methods.two_part import (
    Candidates,
    TwoPart,
    fit_two_part,
    hurdle_counts,
    hurdle_values,
    scaled_hurdle,
)
from predclv.backtesting.predictions import Forecast

__all__ = ["GradientBoosting", "Linear", "RandomForest"]

_CALENDAR = ["first_month", "first_weekday", "season_sin", "season_cos"]


class _TwoPartLearner(Learner):
    """Buys or not, then how much: what `GradientBoosting` and `Linear` share."""

    @abstractmethod
    def _candidates(self) -> Candidates: ...

    def _learn(self, training: TrainingSet) -> TwoPart:
        return fit_two_part(training, self._candidates())

    def _forecast(self, learnt: TwoPart, features: pd.DataFrame, terms: Terms) -> Forecast:
        window_p, window_more = learnt.purchases(features)
        p, more = scaled_hurdle(window_p, window_more, terms.scale)
        counts = hurdle_counts(p, more, learnt.shape)
        expected = counts.mean()
        if learnt.money is None:
            return Forecast(expected, counts, notes=terms.notes)
        money, group = learnt.spend(features)
        # Of a longer window more customers are buyers: what a buyer spends grows by less than the scale.
        money = money * (terms.scale * window_p / p)
        chance = p * (1.0 - learnt.unpaid)
        value = chance * money * np.array([ratio.mean() for ratio in learnt.ratios])[group]
        return Forecast(
            expected,
            counts,
            expected_spend=value / expected,
            expected_value=value,
            value=hurdle_values(chance, money, group, learnt.ratios),
            notes=terms.notes,
        )


class GradientBoosting(_TwoPartLearner):
    """Gradient boosted trees on what the log says of each customer, trained on what came of earlier vintages.

    Two parts. A classifier says who buys; of buyers, a regression with Poisson loss says how many more purchases, and
    one with gamma loss how much money. The forecast of purchases is that probability, and a negative binomial number
    of further ones; the forecast of value is expected money times the ratios of money to expected money that held-out
    buyers showed, in up to five groups by expected money (a cross-conformal distribution: as far as coming customers
    are exchangeable with those of the earlier vintages, it holds on average within a group, up to the folds' different
    fits; of a drift between vintages it knows nothing). `fit_two_part` has the details.

    `expected_purchases` is the mean of the distribution given. `expected_value` is the mean over all ratios; that of
    the distribution of value differs, because it is kept as quantiles: in total by well under a percent, for customers
    who hardly ever buy by a few percent. `expected_spend` is expected value over expected purchases. Joint draws for
    an interval of the total are not given: they would take customers to be independent given their features, and miss
    what all share, the period.

    Parameters
    ----------
    n_vintages : int
        How many earlier vintages to train on at most.
    random_state : int

    References
    ----------
    Friedman (2001), Annals of Statistics 29(5). Platt (1999), Advances in Large Margin Classifiers. Barber, Candès,
    Ramdas & Tibshirani (2021), Annals of Statistics 49(1), on held-out residuals.
    """

    name = "gradient_boosting"

    def _candidates(self) -> Candidates:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        options = {
            "learning_rate": 0.05,
            "max_iter": 100,
            "max_leaf_nodes": 6,
            "min_samples_leaf": 40,
            "l2_regularization": 1.0,
            "max_bins": 127,
            "early_stopping": False,
            "random_state": self.random_state,
        }
        return Candidates(
            [HistGradientBoostingClassifier(**options)],
            [HistGradientBoostingRegressor(loss="poisson", **options)],
            [HistGradientBoostingRegressor(loss="gamma", **options)],
        )


class Linear(_TwoPartLearner):
    """Regularised generalised linear models on logs of the features: the baseline of machine learning.

    Two parts as in `GradientBoosting`, with a logistic, a Poisson and a gamma regression; each penalty is the best of
    a few on held-out customers. Features are logs (of 1 + their size, with their sign), standardised, and kept within
    the range that was trained on, as trees do by nature: a customer older than any in training counts as old as the
    oldest. Months, weekdays and the season are left out: a line through three vintages says nothing of a fourth.

    Parameters
    ----------
    n_vintages : int
        How many earlier vintages to train on at most.
    random_state : int
    """

    name = "linear"

    def _candidates(self) -> Candidates:
        from sklearn.linear_model import GammaRegressor, LogisticRegression, PoissonRegressor

        more, buys = {"solver": "newton-cholesky", "max_iter": 300}, {"max_iter": 1000}
        return Candidates(
            [_on_logs(LogisticRegression(C=c, **buys)) for c in (0.001, 0.01, 0.1, 1.0)],
            [_on_logs(PoissonRegressor(alpha=alpha, **more)) for alpha in (1.0, 0.1, 0.01, 0.001)],
            [_on_logs(GammaRegressor(alpha=alpha, **more)) for alpha in (1.0, 0.1, 0.01, 0.001)],
        )


class RandomForest(Learner):
    """A random forest whose leaves hold what came of the customers in them.

    A forest on both outcomes, purchases and money (their logs, so that a few large customers do not draw all splits).
    The forecast is the average over trees of what came of the training customers in the same leaf, as a distribution:
    a quantile regression forest. Each tree is grown on at most 10,000 customers, and its leaves are then filled with
    all of them, so that most were not there when the splits were chosen.

    `expected_purchases` is the mean of the distribution given. `expected_value` is the mean of the money in the
    leaves; that of the distribution of value differs, because money is pooled into 400 classes and kept as quantiles:
    in total by well under a percent, for customers who hardly ever buy by up to some 15 %. `expected_spend` is expected
    value over expected purchases, and everyone's average where no leaf holds a purchase. Where the window is scaled,
    counts become a hurdle with each customer's own probability, mean and variance. There are no joint draws for an
    interval of the total, for the reason given at `GradientBoosting`.

    Parameters
    ----------
    n_vintages : int
        How many earlier vintages to train on at most.
    random_state : int

    References
    ----------
    Breiman (2001), Machine Learning 45(1). Meinshausen (2006), Journal of Machine Learning Research 7.
    """

    name = "random_forest"

    def _learn(self, training: TrainingSet) -> Leaves:
        return grow_leaves(training, self.random_state)

    def _forecast(self, learnt: Leaves, features: pd.DataFrame, terms: Terms) -> Forecast:
        return learnt.forecast(features, terms)


def _on_logs(model: object) -> object:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

    return make_pipeline(FunctionTransformer(_logs), MinMaxScaler(clip=True), StandardScaler(), model)


def _logs(features: pd.DataFrame) -> pd.DataFrame:
    kept = features.drop(columns=[*_CALENDAR, *features.columns.intersection(["log_monetary_value"])])
    value = kept.to_numpy(dtype=np.float64)
    return pd.DataFrame(np.sign(value) * np.log1p(np.abs(value)), columns=kept.columns)
