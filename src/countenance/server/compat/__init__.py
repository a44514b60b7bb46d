"""CompreFace's API within the promises (docs/compreface.md)."""
