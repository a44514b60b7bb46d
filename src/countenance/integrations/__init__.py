"""What a venue plugs in: entitlement, doors, importers."""
