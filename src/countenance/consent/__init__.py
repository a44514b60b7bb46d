"""Notices, purposes, consents, and the gate that makes a permit."""
