"""What a watch works with, opened together: the history, the alerts in it, and what is kept of good runs."""

import contextlib
import dataclasses
from collections.abc import Iterator

from perflib.regression.alerts.book import AlertBook
from perflib.regression.history.store import History, open_history
from perflib.regression.kept import Kept
from perflib.watching.goods import kept_folder


@dataclasses.dataclass(frozen=True)
class Watch:
    """One opened history with its alert book and its kept artifacts."""

    history: History
    book: AlertBook
    kept: Kept


@contextlib.contextmanager
def open_watch(url: str | None = None) -> Iterator[Watch]:
    """
    Open the history for as long as the context lasts.

    Args:
        url: Of SQLAlchemy; None for ``PERFLIB_HISTORY_URL``, or SQLite in the outputs.

    Raises:
        DataError: If the history is damaged or of a newer schema.
        SetupError: If it cannot be reached, is locked, or its disk is full.
    """
    with open_history(url) as history:
        yield Watch(history, AlertBook(history), Kept(kept_folder()))
