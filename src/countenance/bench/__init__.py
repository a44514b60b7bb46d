"""Benchmarks: what a user waits for, timed in one process beside what they would otherwise use."""
