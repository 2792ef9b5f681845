"""
One exception for each thing the reader must do next.

A message is one sentence: what happened, with the values, then what to do.
The command line prints it and leaves with `exit_code`; nobody sees a traceback for a mistake of their own.
"""

import difflib
import re
from collections.abc import Iterable

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class PerflibError(Exception):
    """The root; raised itself only where no child says it better."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        # A name from a file may hold a line break or a terminal's control code; the message stays one line.
        super().__init__(_CONTROL.sub(lambda found: repr(found[0])[1:-1], message))


class ParameterError(PerflibError):
    """Correct what you wrote: a params file, an argument, a recipe."""


class SetupError(PerflibError):
    """Put the machine right: a missing package, network, permission or lock."""


class DataError(PerflibError):
    """Replace the data or the model file: it is not what it should be, and is refused."""


class StageError(PerflibError):
    """Change the recipe: a stage could not do what its name promises."""


class MeasurementError(PerflibError):
    """Measure again or differently: these timings cannot carry a statement."""


class NotebookError(PerflibError):
    """Read the named cell: a notebook failed, died or timed out."""

    exit_code = 4


class InterruptedRunError(PerflibError):
    """Start again with ``--resume``: a signal ended the run, and its record is consistent."""

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """
    Suggest the nearest known word, or list them all.

    Args:
        word: What was written.
        known: What could have been written.

    Returns:
        The end of an error sentence, without its full stop.

    Example:
        >>> did_you_mean("int9", ["bf16", "int8"])
        'did you mean `int8`?'
        >>> did_you_mean("zebra", ["bf16", "int8"])
        'known are: bf16, int8.'
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known are: {', '.join(names) or 'none'}."
