"""The pages: a gate, its staff, a person's own page, enrolment, the console."""
