"""From image bytes to an embedding: decode, detect, align, judge, embed."""
