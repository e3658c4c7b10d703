"""Tables of RFM rows to score, ordinary and not, and fitted models to score them with."""

from __future__ import annotations

import warnings

import numpy as np
import pyarrow as pa

import predclv as pc
from predclv.errors import PredCLVWarning


def simulated(n: int, seed: int = 1) -> pa.Table:
    """Customers of two years, times in days counted in weeks, every tenth at a margin of its own."""
    table = pc.datasets.simulate_rfm(n_customers=n, T=(0.0, 104.0), lattice=7, seed=seed).rfm.to_pandas()
    table = table[["customer_id", "frequency", "recency", "T", "monetary_value"]]
    table["kept"] = np.where(np.arange(n) % 10 == 0, 0.25, 1.0)
    return pa.Table.from_pandas(table, preserve_index=False)


def extremes() -> pa.Table:
    """Rows at the ends of what there is: heavy buyers, ages of ten years and of none, tiny and huge spend."""
    rows = [
        (0, 0.0, 0.0, 0.0),
        (1, 0.0, 0.0, 5.0),
        (1, 0.0, 1e-9, 1e-9),
        (0, 0.0, 522.0, 0.0),
        (3, 521.0, 522.0, 1e9),
        (300, 104.0, 104.0, 12.5),
        (1500, 500.0, 521.9, 0.0),
        (40, 3.0, 400.0, 30.0),
        (2, 1 / 3, 17.0123, 41.07),
    ]
    x, t_x, T, m = (list(column) for column in zip(*rows, strict=True))
    return pa.table(
        {
            "customer_id": pa.array(range(10**6, 10**6 + len(rows))),
            "frequency": pa.array(x, pa.int64()),
            "recency": t_x,
            "T": T,
            "monetary_value": m,
            "kept": [1.0] * len(rows),
        }
    )


def counted(table: pa.Table) -> pa.Table:
    """The rows as of opportunities: whole, and never more used than had."""
    rows = table.to_pandas()
    once = rows["frequency"] == 0
    rows["recency"] = np.where(once, 0.0, np.maximum(np.ceil(rows["recency"]), rows["frequency"]))
    rows["T"] = np.maximum(np.ceil(rows["T"]), rows["recency"])
    return pa.Table.from_pandas(rows, schema=table.schema, preserve_index=False)


def fit(model: object, table: pa.Table) -> object:
    """Fit without being told what is known of these data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PredCLVWarning)
        return model.fit(pc.RFMSummary.from_frame(table, time_unit="week", carry=["kept"]))
