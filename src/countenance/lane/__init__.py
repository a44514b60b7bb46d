"""The lane without faces: its check, and the small process that does nothing else (docs/operating/lane.md)."""
