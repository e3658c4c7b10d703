"""What the benchmarks share: cases measured in processes of their own, targets, and the page that tells both."""

from harness.cases import PEERS, Case, Cost, Recorded, Target, clock, peak_mib, run_program
from harness.command import main

__all__ = ["PEERS", "Case", "Cost", "Recorded", "Target", "clock", "main", "peak_mib", "run_program"]
