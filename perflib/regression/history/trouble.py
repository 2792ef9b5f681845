"""What a database says when something is wrong, as one sentence that says what to do; passwords are left out."""

import contextlib
import sqlite3
from collections.abc import Iterator

from sqlalchemy import Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from perflib.errors import DataError, PerflibError, SetupError

_WORDS_CHARS = 200
_DAMAGED, _LOCKED, _FULL, _READ_ONLY, _OTHER = "damaged", "locked", "full", "read-only", "other"
# SQLite's own "error" is a table or column that is missing or there already: not the file that we wrote.
_SQLITE = {
    **dict.fromkeys((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR), _DAMAGED),
    **dict.fromkeys((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED), _LOCKED),
    sqlite3.SQLITE_FULL: _FULL,
    **dict.fromkeys(
        (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR), _READ_ONLY
    ),
}
_POSTGRES = {
    **dict.fromkeys(("XX001", "XX002", "42P01", "42703", "42P07"), _DAMAGED),
    **dict.fromkeys(("55P03", "40P01"), _LOCKED),
    "53100": _FULL,
    **dict.fromkeys(("25006", "42501"), _READ_ONLY),
}


@contextlib.contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """
    Turn what the database says into one sentence.

    Raises:
        DataError: If it is damaged, or refuses what it was given.
        SetupError: If it is locked, full, not writable or not to be reached.
    """
    try:
        yield
    except PerflibError:
        raise
    except SQLAlchemyError as error:
        raise _said(error, engine.url) from error
    except UnicodeDecodeError as error:
        # A name in a damaged schema is no text, and sqlite3 fails to say so.
        raise DataError(_damaged(shown(engine.url), "a name in it is no text")) from error


def shown(url: URL) -> str:
    """Return an address for people, without any password."""
    return url.difference_update_query(("password", "sslpassword")).render_as_string(hide_password=True)


def _said(error: SQLAlchemyError, url: URL) -> PerflibError:
    original, where = getattr(error, "orig", None), shown(url)
    words = " ".join(str(original or error).split())[:_WORDS_CHARS]
    kind = _kind(error, original, url)
    if kind == _DAMAGED:
        return DataError(_damaged(where, words))
    if kind == _LOCKED:
        return SetupError(f"the history {where} is locked by another program ({words}); wait for it to end.")
    if kind == _FULL:
        return SetupError(f"the disk of the history {where} is full; free space, nothing was half-written.")
    if kind == _READ_ONLY:
        return SetupError(f"the history {where} cannot be written ({words}); make its folder writable.")
    if isinstance(error, OperationalError):
        return SetupError(f"the history {where} cannot be reached ({words}); see that its server runs.")
    return DataError(f"the history {where} refused ({words}); see `perflib history verify`.")


def _damaged(where: str, words: str) -> str:
    return (
        f"the history {where} is damaged or no history ({words}); put it aside and take the past from where it was "
        "pushed or exported."
    )


def _kind(error: SQLAlchemyError, original: BaseException | None, url: URL) -> str:
    if url.get_backend_name() != "sqlite":
        return _POSTGRES.get(str(getattr(original, "sqlstate", None)), _OTHER)
    code = getattr(original, "sqlite_errorcode", None)
    if code is None:
        # Python itself found that a text is not UTF-8.
        return _DAMAGED if isinstance(error, OperationalError) else _OTHER
    # The lower byte is the kind; what stands above it says where it happened.
    return _SQLITE.get(code & 0xFF, _OTHER)
