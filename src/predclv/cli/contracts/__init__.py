"""The commands on contracts: `predclv contracts run`, `summarize`, `fit`, `predict` and `backtest`."""
