"""Each model's published fits, from the logs themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from published import FITS


@pytest.fixture(scope="module")
def grocery(shared_data):
    log = pd.read_csv(shared_data("grocery_elog.csv"))
    return pc.RFMSummary.from_transactions(
        log, customer_id="cust", date="date", observation_end="2006-12-31", regularity=True
    )


@pytest.mark.parametrize(("data", "key"), FITS, ids=[" ".join(case) for case in FITS])
def test_published_fit(data, key, request):
    published = FITS[data, key]
    posterior = pc.MODELS[key]().fit(request.getfixturevalue(data)).posterior_
    # Polished to a gradient below 2e-5, which leaves the flattest parameter a few millionths.
    np.testing.assert_allclose(posterior.point_array, published.estimates, rtol=1e-5)
    assert posterior.diagnostics["log_likelihood"] == pytest.approx(published.log_likelihood, abs=1e-6)
