"""The Posterior: draws that carry the covariance, summaries that stay in the domain."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from predclv.inference.normal_draws import NormalDraws
from predclv.inference.posterior import Draws, Posterior, check_level, paired_draws, to_plain
from predclv.parameters import Parameter

PARAMETERS = (
    Parameter("shape", "shape of something", (0.5, 5.0)),
    Parameter("rate", "rate of something", (1.5, 5.0), above=1.0),
)
POINT = np.array([2.0, 3.0])
COVARIANCE = np.array([[0.04, -0.012], [-0.012, 0.01]])


def make(seed: int = 0) -> Posterior:
    return Posterior(PARAMETERS, "mle", POINT, COVARIANCE, NormalDraws(PARAMETERS, POINT, COVARIANCE, seed))


def test_draws_have_the_mean_and_covariance_asked_for():
    logs = np.log(make().draws_array() - np.array([0.0, 1.0]))
    # 1,024 scrambled Sobol points: means within 1e-3 of a standard deviation, covariances within 2 %.
    np.testing.assert_allclose(logs.mean(axis=0), np.log(POINT - [0.0, 1.0]), atol=1e-3 * 0.2)
    np.testing.assert_allclose(np.cov(logs.T), COVARIANCE, rtol=0.02)


def test_leading_draws_are_already_balanced():
    logs = np.log(make().draws_array(64)[:, 0])
    # 64 independent draws would miss by 0.025 (one standard error); well-spread ones by a tenth of that.
    assert logs.mean() == pytest.approx(np.log(2.0), abs=0.0025)


def test_draws_are_made_once_reproducibly_and_cannot_be_written():
    first, second, other = make(), make(), make(seed=1)
    np.testing.assert_array_equal(first.draws_array(), second.draws_array())
    assert not np.array_equal(first.draws_array(), other.draws_array())
    assert first.draws_array() is first.draws_array()
    with pytest.raises(ValueError, match="read-only"):
        first.draws_array()[0, 0] = 1.0
    table = first.draws
    table.loc[0, "shape"] = -1.0
    assert first.draws.loc[0, "shape"] > 0


def test_paired_draws_do_not_move_together():
    one, two = paired_draws([make(0), make(1)], 1024)
    together = np.corrcoef(np.log(one[:, 0]), np.log(two[:, 0]))[0, 1]
    assert abs(together) < 3.5 / np.sqrt(1024)
    assert not np.array_equal(one[:, 0] > np.median(one[:, 0]), two[:, 0] > np.median(two[:, 0]))


def test_paired_draws_refuse_more_than_there_are():
    with pytest.raises(ValueError, match="2000 draws are wanted and the posterior holds 1024"):
        paired_draws([make(), make()], 2000)


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "64"])
def test_paired_draws_want_a_whole_number(n):
    with pytest.raises(ValueError, match="must be a whole number from 1 on"):
        paired_draws([make(), make()], n)


def test_summary_is_on_the_natural_scale_with_an_interval_inside_the_domain():
    summary = make().summary(level=0.9)
    assert summary.columns.tolist() == ["parameter", "estimate", "std_error", "low", "high", "meaning"]
    np.testing.assert_allclose(summary["estimate"], POINT)
    np.testing.assert_allclose(summary["std_error"], [0.2 * 2.0, 0.1 * 2.0])
    np.testing.assert_allclose(summary["low"], [2 * np.exp(-1.6448536 * 0.2), 1 + 2 * np.exp(-1.6448536 * 0.1)])
    assert (summary["low"] > [0.0, 1.0]).all()
    np.testing.assert_allclose(np.sqrt(np.diag(make().covariance)), summary["std_error"])


def test_a_parameter_at_the_edge_has_no_interval():
    summary = replace(make(), fit_diagnostics={"runaway": {"rate": "high"}}).summary()
    assert summary["std_error"].isna().tolist() == [False, True]
    assert summary.loc[1, ["low", "high"]].tolist() == [1.0, np.inf]
    pd.testing.assert_frame_equal(summary.iloc[:1], make().summary().iloc[:1])


@pytest.mark.parametrize("travel", [lambda p: p, lambda p: pickle.loads(pickle.dumps(p)), copy.deepcopy])
def test_nothing_in_it_can_be_written_to(travel):
    point, found = POINT.copy(), {"runaway": {}, "steps": [1, 2]}
    normal = NormalDraws(PARAMETERS, POINT, COVARIANCE, 0)
    posterior = Posterior(PARAMETERS, "mle", point, COVARIANCE, normal, found)
    posterior.draws_array()
    posterior = travel(posterior)
    point[0], found["runaway"] = 99.0, {"shape": "low"}
    assert posterior.point["shape"] == 2.0
    assert to_plain(posterior.diagnostics) == {"runaway": {}, "steps": [1, 2]}
    for array in (posterior.point_array, posterior.covariance_unconstrained, posterior.draws_array()):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 99.0
    for mapping in (posterior.diagnostics, posterior.diagnostics["runaway"]):
        with pytest.raises(TypeError, match="does not support item assignment"):
            mapping["shape"] = "low"


def test_wrong_draws_are_refused():
    with pytest.raises(ValueError, match=r"shape \(n_draws, 2\)"):
        Posterior(PARAMETERS, "mle", POINT, COVARIANCE, lambda: Draws(np.ones((3, 1)))).draws_array()


@pytest.mark.parametrize(("level", "message"), [(95, "did you mean 0.95"), (0, "in \\(0, 1\\)"), (1, "Got 1")])
def test_level_is_checked(level, message):
    with pytest.raises(ValueError, match=message):
        check_level(level)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_parameter_domain(value):
    with pytest.raises(ValueError, match="'shape' must be finite and above 0"):
        PARAMETERS[0].check(value)
