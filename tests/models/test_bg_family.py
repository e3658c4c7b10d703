"""The family's bindings agree with each other."""

from __future__ import annotations

import numpy as np

from predclv.models.bg_family import BGFamily

THETA = np.array([[0.5, 2.0, 0.3, 0.6]])


def test_only_single_events_forget_recency():
    assert BGFamily(k=1).forgets_recency
    assert not BGFamily(k=2).forgets_recency
    assert BGFamily(k=3).n_stages == 3
