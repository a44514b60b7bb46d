"""Presentation attack detection over a short capture session (ISO/IEC 30107-3): prompts, signals and verdicts."""
