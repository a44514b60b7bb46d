"""Schema, migrations, and the unit of work in which a change and its sealed event commit together."""
