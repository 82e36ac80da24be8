"""Benchmarks: the budgets of the design, each a ratio against a baseline measured in the same run."""
