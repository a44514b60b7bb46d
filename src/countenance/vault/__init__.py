"""Keys, templates and custody. Only vault/keys touches key bytes."""
