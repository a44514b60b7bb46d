"""The demonstration: the founding story on real portraits, ending by itself."""
