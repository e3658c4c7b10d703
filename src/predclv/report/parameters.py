"""The block with a CLV's parameters."""

from __future__ import annotations

import numpy as np

from predclv.plots.style import printable
from predclv.report.blocks import Details, Paragraph, Table
from predclv.value import CLV

__all__ = ["parameters"]


def parameters(clv: CLV) -> Details:
    """Estimates with errors, intervals and meaning, and how they were found."""
    # A parameter that the data do not determine has no standard error.
    summary = clv.summary
    rows = [
        [
            f"{printable(row.model)}: {row.parameter}",
            f"{row.estimate:.4g}",
            f"{row.std_error:.2g}" if known else "–",
            f"{row.low:.3g} to {row.high:.3g}" if known else "not determined",
            str(row.meaning),
        ]
        for row, known in zip(summary.itertuples(), np.isfinite(summary["std_error"]), strict=True)
    ]
    diagnostics = clv.transactions_.posterior_.diagnostics
    facts = (
        f"Fitted by {clv.transactions_.posterior_.method} in {diagnostics.get('n_iterations', '–')} steps; "
        f"log-likelihood {diagnostics.get('log_likelihood', float('nan')):,.1f}. Draws for the intervals: "
        f"{diagnostics.get('approximation', 'from the posterior')}."
    )
    caption = "Parameters of both models" if hasattr(clv, "spend_") else "Parameters"
    columns = ("Parameter", "Estimate", "Standard error", "90% interval", "Meaning")
    return Details(
        "The model's parameters",
        [Table(caption, columns, rows, numeric=(1, 2, 3)), Paragraph(facts, "quiet")],
    )
