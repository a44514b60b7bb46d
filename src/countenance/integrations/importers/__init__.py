"""Importers: bring people in from elsewhere as *awaiting consent*, by name only; no picture is ever opened."""
