"""Starts and drives the whole site: used by tests, ops and benchmarks, which import nothing of each other."""
