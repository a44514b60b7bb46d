"""Keys. This package is the only one that touches key bytes."""
