"""What requests must look like: strict, and without a key that is not known."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Line = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""One line of text."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=200)]
PassText = Annotated[str, StringConstraints(min_length=1, max_length=8_192)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Strict(BaseModel):
    """Base of every request: no conversions, nothing unknown."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)
