"""The log of what was done, published, witnessed and watched (DESIGN 4)."""
