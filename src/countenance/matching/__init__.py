"""Scores, decisions and exact search."""
