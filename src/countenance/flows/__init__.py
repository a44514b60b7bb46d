"""The stories. Start here: enrol, admit, withdraw, about, sweep, rotate; steps as in docs/flows.md."""
