"""Exact search inside this process."""
