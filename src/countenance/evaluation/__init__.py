"""Trials on labelled photographs under a dataset permit."""
