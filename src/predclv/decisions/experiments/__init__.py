"""Experiments: the readout of a trial with arms drawn by lot, by forecast and with its uncertainty."""

from __future__ import annotations

from predclv.decisions.experiments.experiment import Experiment, read_experiment

__all__ = ["Experiment", "read_experiment"]
