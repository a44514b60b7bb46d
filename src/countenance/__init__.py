"""Face recognition that asks first.

Read `countenance.flows` first: it holds the stories (enrol, admit, withdraw, ...), each one a
function whose numbered steps are those of docs/flows.md. Everything else serves them.
"""

__version__ = "0.1.0"
