"""The report of a backtest: `page` puts together what the other files have to say."""
