"""The gallery's pictures: each cell is shown beside what it draws. `make docs` runs it."""
# ruff: noqa: E402
# %% setup: One log, one fit.

import predclv as pc
from predclv import checks, plots

log = pc.datasets.load_cdnow()
split = pc.split_transactions(log, amount="amount", at="1997-09-30", holdout_end="1998-06-30")
rfm = split.calibration
clv = pc.CLV(pc.MBGNBD(), pc.GammaGamma()).fit(rfm)
bg = clv.transactions_

# %% [group] Purchases: Does the model say what customers did?
# %% plot_frequency_recency: Who is worth waiting for
plots.plot_frequency_recency(bg, horizon="39 weeks")
