"""A fitted model says what was fitted, in print and below scikit-learn's picture; an unfitted one is as it was."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone

import predclv as pc


def test_an_unfitted_model_is_scikit_learns():
    assert str(pc.BGNBD()) == repr(pc.BGNBD()) == "BGNBD()"
    assert "<p><b>" not in pc.CLV()._repr_html_()
    assert "BGNBD" in pc.BGNBD()._repr_mimebundle_()["text/html"]


def test_a_fitted_model(bg, clv):
    said = str(bg).splitlines()
    assert said[0] == "BGNBD fitted by maximum likelihood to 2,357 customers as of 1997-09-30, time in weeks."
    assert said[1].startswith("r = 0.243 ± 0.013, alpha = 4.41 ± 0.38")
    assert said[2].startswith("60 % bought once")
    assert repr(bg) == "BGNBD()"
    assert str(clv).count("fitted by") == 2
    assert "946 repeat buyers" in str(clv)
    for html in (clv._repr_html_(), clv._repr_mimebundle_()["text/html"]):
        assert "sk-" in html
        assert "60 % bought once" in html
    with config_context(display="text"):
        assert "text/html" not in clv._repr_mimebundle_()
        with pytest.raises(AttributeError):
            _ = clv._repr_html_
    assert str(clone(bg)) == "BGNBD()"


def test_contracts_and_segments(cdnow):
    subs = pc.datasets.simulate_contracts("sbg", n_customers=200, observed=(0, 24), seed=1).subs
    assert "SBG fitted by maximum likelihood to 200 contracts, renewed by the" in str(pc.SBG().fit(subs))
    half = np.where(np.arange(len(cdnow)) % 2 == 0, "even", "odd")
    rfm = pc.RFMSummary.from_frame(cdnow.to_pandas().assign(half=half), time_unit="week", carry=["half"])
    assert "Each of 2 segments of 'half'" in str(pc.BGNBD(method="map", segment="half").fit(rfm))


def test_a_posterior_makes_no_draws_to_say_what_it_is(bg):
    posterior = bg.posterior_.evolve()
    posterior.__dict__.pop("_made", None)
    assert repr(posterior).startswith("<Posterior by mle: r = 0.243 ± 0.013")
    assert "dropout" in posterior._repr_html_()
    assert "_made" not in posterior.__dict__
