"""The family's bindings agree with each other."""

from __future__ import annotations

import numpy as np

from predclv.models.bg_family import BGFamily

THETA = np.array([[0.5, 2.0, 0.3, 0.6]])


def test_a_stage_for_each_event_of_a_purchase():
    assert [BGFamily(k=k).n_stages for k in (1, 2, 3)] == [1, 2, 3]
