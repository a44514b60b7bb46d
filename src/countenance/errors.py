"""The tree of errors: one sentence for a person, one stable code for a program.

    CountenanceError
    ├── Refused      a rule says no: consent, permits, notices, tickets; nothing has changed
    ├── BadInput     what came from outside cannot be used: images, passes, texts, options
    ├── StoreFault   the data folder or the keys are not as they must be
    └── ModelFault   weights or graphs are missing or are not those of the manifest

A code is never reused and never renamed. The sentence names no person and carries no pixel, score,
key or template. Refusals raise; nothing that guards a face answers with a bool or None.
"""

from __future__ import annotations

from typing import ClassVar


class CountenanceError(Exception):
    """Base of all errors that a caller may see.

    `code` is stable; `exit_status` is what the command line ends with (2 is Typer's own, for usage).
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class Refused(CountenanceError):
    """A rule says no. The state on disk is as it was before."""

    exit_status = 3


class BadInput(CountenanceError):
    """Something from outside cannot be used. The state on disk is as it was before."""

    exit_status = 4


class StoreFault(CountenanceError):
    """The data folder, a database or a key is not as it must be; the face lane stays closed."""

    exit_status = 5


class ModelFault(CountenanceError):
    """The weights, a graph or a manifest is missing or not what it claims to be."""

    exit_status = 6
