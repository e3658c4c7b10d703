"""Scoring customers in batches, unattended: one scorer for every engine, and a job that can be killed and resumed."""
