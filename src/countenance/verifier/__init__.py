"""Checks what a venue hands out, offline: receipts, evidence, checkpoints, logs. Knows nothing of the rest of it.

It imports only formats, errors and quantities beside a signature library, so that it can be carried to whoever doubts.
"""
