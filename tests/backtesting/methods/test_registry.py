"""Methods by name and as objects: what is made of what is asked for, and what is refused."""

from __future__ import annotations

import inspect

import pytest

import predclv as pc
from predclv.backtesting import METHODS
from predclv.backtesting import methods as registry
from predclv.backtesting.methods import settle_methods
from predclv.errors import DataError
from predclv.models import MODELS


class Own:
    """A user's method, without a name."""

    def fit(self, rfm, log): ...

    def predict(self, rfm, log, horizon): ...


class Named(Own):
    name = "mine"
    needs_amounts = True


def settle(methods, random_state=0):
    return {candidate.name: candidate for candidate in settle_methods(methods, random_state)}


@pytest.mark.parametrize("name", METHODS)
def test_every_name_makes_a_method_or_says_what_it_needs(name):
    [candidate] = settle_methods(name, 7)
    assert candidate.name == name
    if candidate.skipped:
        assert candidate.method is None
        assert "pip install 'predclv[" in candidate.skipped
        return
    assert list(inspect.signature(candidate.method.fit).parameters)[:2] == ["rfm", "log"]
    assert list(inspect.signature(candidate.method.predict).parameters)[:3] == ["rfm", "log", "horizon"]
    assert getattr(candidate.method, "random_state", 7) == 7
    assert candidate.needs_amounts == (name == "formula")
    assert candidate.needs_log_itt == (name.partition("_cnbd")[1] != "")


def test_times_between_purchases_are_asked_for_to_choose_k():
    assert settle([pc.CLV(pc.MBGCNBD())])["mbg_cnbd"].needs_log_itt
    assert not settle([pc.CLV(pc.MBGCNBD(k=2))])["mbg_cnbd"].needs_log_itt


def test_every_transaction_model_comes_with_every_inference():
    keys = [key for key, model in MODELS.items() if model.KIND == "transactions"]
    assert keys
    for key in keys:
        for suffix, inference in {"": "mle", "_map": "map", "_mcmc": "mcmc", "_auto": "auto"}.items():
            [candidate] = settle_methods([key + suffix], 0)
            if not candidate.skipped:
                assert candidate.method.model.method == candidate.method.spend.method == inference
                assert type(candidate.method.model) is MODELS[key]


@pytest.mark.parametrize(
    ("name", "package", "said"),
    [
        ("lifetimes_bg_nbd", "lifetimes", "needs lifetimes: pip install 'predclv[lifetimes]'"),
        ("pymc_marketing_bg_nbd", "pymc_marketing", "needs pymc_marketing: pip install 'predclv[peers]'"),
        ("clvkit_bg_nbd", "clvkit", "needs clvkit: pip install 'predclv[peers]'"),
        ("bg_nbd_mcmc", "pymc", "needs pymc: pip install 'predclv[bayes]'"),
    ],
)
def test_a_method_whose_package_is_absent_is_skipped(name, package, said, monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda asked: None if asked == package else object())
    assert settle([name, "zero"])[name].skipped == said
    assert settle([name, "zero"])["zero"].skipped == ""


def test_objects_have_the_names_that_they_say_or_that_they_are_given():
    assert list(settle([Own(), Named(), pc.BGNBD(), "zero"])) == ["Own", "mine", "bg_nbd", "zero"]
    named = settle({"a": Own(), "b": Named(), "c": pc.CLV(), "d": "naive"})
    assert list(named) == ["a", "b", "c", "d"]
    assert named["b"].needs_amounts
    assert named["c"].needs_amounts
    assert not named["a"].needs_amounts


@pytest.mark.parametrize("one", ["zero", Own(), pc.BGNBD()], ids=["name", "object", "model"])
def test_one_method_needs_no_list(one):
    assert len(settle(one)) == 1


@pytest.mark.parametrize(
    ("methods", "error", "message"),
    [
        ([], DataError, "'methods' is empty. Known by name are 'bg_nbd'"),
        ({}, DataError, "'methods' is empty"),
        (["bg_ndb"], DataError, r"There is no method 'bg_ndb'\. Did you mean 'bg_nbd'\?"),
        (["gamma_gamma"], DataError, "There is no method 'gamma_gamma'"),
        (["zero", "zero"], DataError, r"Two methods are called 'zero'\. Name them: methods={'one': \.\.\.,"),
        ([pc.BGNBD(), "bg_nbd"], DataError, "Two methods are called 'bg_nbd'"),
        ([Own], TypeError, r"Own is a class: give an object, Own\(\)"),
        (Own, TypeError, r"Own is a class: give an object, Own\(\)"),
        ([object()], TypeError, r"A method needs fit\(rfm, log\) and predict\(rfm, log, horizon\); .* has no fit"),
        ([type("Half", (), {"fit": print})()], TypeError, "has no predict"),
        ([None], TypeError, "None has no fit"),
        ([pc.GammaGamma()], TypeError, "GammaGamma forecasts no purchases from a log. Give a transaction"),
        ({1: "zero"}, TypeError, "a name is text that is not empty"),
        ({"": "zero"}, TypeError, "a name is text that is not empty"),
    ],
)  # fmt: skip
def test_what_is_refused(methods, error, message):
    with pytest.raises(error, match=message):
        settle_methods(methods, 0)
