"""Bytes to values and back, strict both ways, no I/O. One format, one module, one page in docs/formats/."""
