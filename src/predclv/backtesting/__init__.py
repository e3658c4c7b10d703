"""Backtests: methods forecast from past dates, and are scored against what customers then did."""
