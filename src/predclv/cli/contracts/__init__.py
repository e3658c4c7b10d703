"""The commands on contracts: `predclv contracts run`, `summarize`, `fit` and `predict`."""
