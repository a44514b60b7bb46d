"""Who may do what: roles, API keys, operators, sessions, codes, passkeys, attempts."""
