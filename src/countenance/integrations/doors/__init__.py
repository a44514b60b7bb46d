"""Doors: what opens when somebody is admitted, and what it means when this program fails (docs/operating/doors.md)."""
