"""`compare`: fits models to one data set and says which of them the data prefer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from predclv.backtesting.plan import check_count
from predclv.comparison.fits import Candidate, fit_all, is_transactions, settle_models
from predclv.comparison.holdout import METRICS, check_holdout, score_holdout, spread_scores
from predclv.comparison.nesting import likelihood_ratio_tests
from predclv.comparison.result import CRITERIA, Comparison
from predclv.data.checks import check_option
from predclv.data.rfm import RFMSummary
from predclv.data.split import Split
from predclv.inference.posterior import check_level

__all__ = ["compare"]

FloatArray = NDArray[np.float64]

_NO_GAPS = "not comparable: the likelihood lacks the times between purchases (regularity=True)"
_OTHER_DATA = "not comparable: its likelihood is of {:,} customers, and that of others of {:,}"
_OTHER_MEASURE = "not comparable: its likelihood is of {}, and that of others of {}"
#: What a likelihood is of, where it is not of the exact times of purchases.
_MEASURES = {"bg_bb": "opportunities used and not used"}
_EXACT_TIMES = "exact times"
_COMPARED = ["difference", "difference_low", "difference_high", "verdict"]
# Of twice a log-likelihood: no evidence in any sample, and more than is lost where a search stops short of an edge.
_NEGLIGIBLE = 1.0


def compare(
    rfm: Any,
    models: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    holdout: Split | None = None,
    loo: bool = False,
    criterion: str | None = None,
    level: float = 0.9,
    n_bootstrap: int = 400,
    random_state: int = 0,
) -> Comparison:
    """Fit models to the same customers, and compare them.

    Parameters
    ----------
    rfm : RFMSummary, or the data of another kind of models
        What all of them are fitted on.
    models : list of keys and estimators, or mapping of names to them, optional
        "bg_nbd", or BGNBD(...), which is copied and fitted anew; at least two, of one kind. By default NBD, BG/NBD,
        MBG/NBD and Pareto/NBD, and where the summary holds times between purchases the CNBD models.
    holdout : Split, optional
        From `split_transactions`, with `rfm` its calibration: forecasts are scored against what the customers then did.
    loo : bool
        Add leave-one-out validation (PSIS-LOO; needs the extra "bayes"). It takes draws of a posterior: a model given
        with method "mle" is fitted again by "map" for it.
    criterion : {"aic", "bic", "elpd_loo", "crps"}, optional
        What the order and the verdicts go by. By default the last of AIC, elpd_loo and CRPS that there is.
    level : float
        Probability of the intervals.
    n_bootstrap : int
        Resamples of customers behind the intervals of the holdout's scores.
    random_state : int
        Their seed.

    Returns
    -------
    Comparison
        `table`, `nested`, `scores`, `plot()`; its repr says in words which model the data prefer, and by how much.

    Raises
    ------
    TypeError, ValueError
        A model is none, or models have a name in common or no likelihood; an option means nothing.
    DataError
        The holdout is that of other customers.
    FitError
        None of the models could be fitted. Where only some fail, their rows say why.
    ImportError
        `loo` without ArviZ.

    Warns
    -----
    ConvergenceWarning, InfluenceWarning
        As `fit` and `loo` of each model.

    Notes
    -----
    Log-likelihoods are of the exact times of purchases, in the time unit of the summary, for all models of buyers in
    continuous time, so their differences mean something; a CNBD model's is complete only where the summary holds the
    times between purchases. They are largest ones, without priors, penalties or segments; forecasts and elpd_loo are of
    the models as given. A k chosen by likelihood counts as a parameter.

    The interval of a difference in AIC, BIC or elpd_loo is a normal one from its spread over customers (Vuong 1989),
    customers of one history counted as alike. It is meant for models neither of which is a special case of the other;
    for nested ones `nested` has the likelihood-ratio tests. "No gain" is a model that is behind for the price of its
    parameters alone: its likelihood is as high, but for noise. The interval of a difference in CRPS is a bootstrap's.

    Examples
    --------
    >>> pc.compare(split.calibration, ["nbd", "bg_nbd", "pareto_nbd"], holdout=split)
    >>> pc.compare(rfm, {"flat": pc.BGNBD(), "by channel": pc.BGNBD(method="map", segment="channel")}, loo=True)

    References
    ----------
    Vuong (1989), Econometrica 57(2). Vehtari, Gelman & Gabry (2017), Statistics and Computing 27(5).
    """
    check_level(level)
    check_count("n_bootstrap", n_bootstrap, 2)
    chosen = settle_models(models, rfm)
    split = None if holdout is None else check_holdout(holdout, _require_rfm(rfm))
    criterion = _settle_criterion(criterion, loo, split)
    if loo:
        from predclv.inference.posterior import require_arviz

        require_arviz("compare(loo=True)")
    candidates = fit_all(chosen, rfm, loo=loo)
    scores = None
    if split is not None and is_transactions(candidates):
        scores = score_holdout(candidates, split, n_bootstrap=n_bootstrap, level=level, seed=random_state)
    table = _tabulate(candidates, loo, scores, criterion, level)
    return Comparison(
        table=table,
        nested=likelihood_ratio_tests(candidates),
        scores=scores,
        criterion=criterion,
        level=level,
        holdout="" if split is None else f"{split.duration:g} {split.calibration.time_unit}s",
        fitted={candidate.name: candidate.fitted for candidate in candidates if candidate.fitted is not None},
    )


def _require_rfm(rfm: object) -> RFMSummary:
    if not isinstance(rfm, RFMSummary):
        raise TypeError(f"A holdout goes with an RFMSummary. Got {type(rfm).__name__}.")
    rfm.require_customers("compare with a holdout")
    return rfm


def _settle_criterion(criterion: str | None, loo: bool, holdout: Split | None) -> str:
    known = [name for name in CRITERIA if (name != "elpd_loo" or loo) and (name != "crps" or holdout is not None)]
    if criterion is None:
        return "crps" if holdout is not None else "elpd_loo" if loo else "aic"
    check_option("criterion", criterion, tuple(CRITERIA))
    if criterion not in known:
        needed = "loo=True" if criterion == "elpd_loo" else "a holdout"
        raise ValueError(f"criterion={criterion!r} needs {needed}, which is not given.")
    return criterion


def _tabulate(
    candidates: Sequence[Candidate], loo: bool, scores: pd.DataFrame | None, criterion: str, level: float
) -> pd.DataFrame:
    """One row a model, the best by the criterion first."""
    notes = _notes(candidates)
    comparable = np.array([not notes[candidate.name].startswith("not comparable") for candidate in candidates])

    def column(attribute: str, of: Callable[[Candidate], Any] = lambda candidate: candidate) -> FloatArray:
        return np.array([getattr(of(candidate), attribute, np.nan) for candidate in candidates], dtype=np.float64)

    size, n = column("n_parameters"), np.maximum(column("n_customers"), 1.0)
    loss = np.where(comparable, -2.0 * column("log_likelihood"), np.nan)
    columns: dict[str, Any] = {
        "model": [candidate.name for candidate in candidates],
        "parameters": size.astype(np.int64),
        "log_likelihood": column("log_likelihood"),
        "comparable": comparable,
        "aic": loss + 2.0 * size,
        "bic": loss + np.log(n) * size,
    }
    columns["delta_aic"] = columns["aic"] - np.nanmin(columns["aic"], initial=np.inf)
    if loo:
        elpd, se, p, bad_k = (
            column(name, lambda candidate: candidate.left_out) for name in ("elpd", "se", "p", "share_of_bad_k")
        )
        columns |= {"elpd_loo": np.where(comparable, elpd, np.nan), "se": se, "p_loo": p, "bad_k": bad_k}
    table = pd.DataFrame(columns)
    if scores is not None:
        by_model = spread_scores(scores).reindex(table["model"]).reset_index(drop=True)
        table = table.join(by_model[list(METRICS)])
    differences = by_model[_COMPARED] if criterion == "crps" else _differences(candidates, table, criterion, level)
    table = table.join(differences)
    table["verdict"] = table["verdict"].fillna(
        pd.Series(["failed" if candidate.fitted is None else "not comparable" for candidate in candidates])
    )
    table["note"] = [notes[name] for name in table["model"]]
    by_rank = table["difference"].where(table["verdict"] != "best", -np.inf)
    return table.iloc[np.argsort(by_rank.to_numpy(), kind="stable")].reset_index(drop=True)


def _notes(candidates: Sequence[Candidate]) -> dict[str, str]:
    """What is to be said of each model: that it cannot be compared, and what went wrong."""
    measures = {candidate.name: _MEASURES.get(candidate.model.KEY, _EXACT_TIMES) for candidate in candidates}
    sizes = {candidate.name: candidate.n_customers for candidate in candidates if candidate.n_customers}
    usual, size = (max(list(each.values()), key=list(each.values()).count) for each in (measures, sizes))
    found = {}
    for candidate in candidates:
        said = list(candidate.notes)
        if not candidate.is_complete:
            said.insert(0, _NO_GAPS)
        elif sizes.get(candidate.name, size) != size:
            said.insert(0, _OTHER_DATA.format(sizes[candidate.name], size))
        elif measures[candidate.name] != usual:
            said.insert(0, _OTHER_MEASURE.format(measures[candidate.name], usual))
        found[candidate.name] = "; ".join(said)
    return found


def _differences(candidates: Sequence[Candidate], table: pd.DataFrame, criterion: str, level: float) -> pd.DataFrame:
    """How much worse than the best each model is by AIC, BIC or elpd_loo, with a normal interval and a verdict."""
    worse = table[criterion].to_numpy() * (-1.0 if criterion == "elpd_loo" else 1.0)
    out = pd.DataFrame(np.nan, index=table.index, columns=_COMPARED[:3]).assign(verdict=None)
    known = np.flatnonzero(np.isfinite(worse))
    if not len(known):
        return out

    def by_customer(i: int) -> FloatArray:
        candidate = candidates[i]
        if criterion != "elpd_loo":
            return np.asarray(-2.0 * candidate.by_customer)
        assert candidate.left_out is not None
        return -candidate.left_out.by_customer

    best = int(known[np.argmin(worse[known])])
    of_best = by_customer(best)
    for i in map(int, known):
        difference, each = worse[i] - worse[best], by_customer(i) - of_best
        reach = float(ndtri(0.5 + level / 2)) * np.sqrt(len(each)) * each.std()
        verdict = "best" if i == best else "within noise"
        if difference > reach:
            # What is left without the price of its parameters is what the data say.
            says = each.sum() > max(reach, _NEGLIGIBLE)
            more = table["parameters"][i] > table["parameters"][best]
            verdict = "worse" if says else "no gain" if more else "within noise"
        out.loc[i] = difference, difference - reach, difference + reach, verdict
    return out
