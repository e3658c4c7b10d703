"""Priors."""
from predclv.priors.distributions import Gamma, LogNormal, Prior
