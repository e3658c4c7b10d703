"""The report on contracts: who stays, and what those who are here will bring."""

from __future__ import annotations

from predclv.report.contracts.compose import compose_contracts
from predclv.report.contracts.inputs import ContractInputs

__all__ = ["ContractInputs", "compose_contracts"]
