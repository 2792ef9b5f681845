r"""
Numbers with a pointer to their record: the value is read through the pointer, so that the two cannot differ.

    evidence = Evidence(run.folder)
    evidence.number("records/comparison-int8.json", "/scenarios/1/speedup_ratio/estimate", form="speedup")

``data-ev`` holds one place for each value (``path#/json/pointer``), ``data-ev-as`` says how they are written.
Whole blocks, whose numbers were computed from records, name those records in ``data-ev-block``.

    >>> resolve({"a/b": [1, {"~": 2.5}]}, "/a~1b/1/~0")
    2.5
"""

import functools
import html
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from perflib import units
from perflib.errors import DataError
from perflib.records import read_json

PLACES, FORM, BLOCK = "data-ev", "data-ev-as", "data-ev-block"
_MONEY_LEAST_WHOLE, _LEAST_MINUTES = 10, 2
_INDEX = re.compile(r"0|[1-9]\d*")


class Evidence:
    """The documents of one run folder, each read once, when a number of it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._document = functools.cache(lambda path: read_json(folder / path))

    def has(self, path: str) -> bool:
        """Say whether the run has a document."""
        return (self.folder / path).is_file()

    def value(self, path: str, pointer: str) -> Any:
        """
        Return what a pointer points at.

        Raises:
            DataError: If there is no such document, or nothing at this place of it.
        """
        return resolve(self._document(path), pointer, source=path)

    def number(self, path: str, *pointers: str, form: str) -> str:
        """
        Return values as HTML, with their places.

        Args:
            path: Of the document, below the run folder.
            pointers: One for each value that the form takes.
            form: A name of `FORMS`.

        Raises:
            DataError: If something is missing, or is not what the form writes.
        """
        places = [f"{path}#{one}" for one in pointers]
        words = write(form, [self.value(path, one) for one in pointers], source=", ".join(places))
        return (
            f'<span {PLACES}="{html.escape(" ".join(places))}" {FORM}="{html.escape(form)}">{html.escape(words)}</span>'
        )

    def text(self, path: str, pointer: str) -> str:
        """Return a text of a record as HTML, such as a name, a date or a reason."""
        return self.number(path, pointer, form="text")


def resolve(document: Any, pointer: str, *, source: str = "this document") -> Any:
    """
    Follow a JSON pointer (RFC 6901).

    Raises:
        DataError: If it is no pointer, or nothing is there.
    """
    if pointer and not pointer.startswith("/"):
        raise DataError(f"{pointer!r} is no JSON pointer; it starts with a slash.")
    found = document
    for word in pointer.split("/")[1:]:
        key = word.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and _INDEX.fullmatch(key) and int(key) < len(found):
            found = found[int(key)]
        else:
            raise DataError(f"{source} has nothing at {pointer}; make the report again.")
    return found


def write(form: str, values: list[Any], *, source: str = "this page") -> str:
    """
    Write values as a form says.

    Raises:
        DataError: If the form is unknown or does not take such values.

    Example:
        >>> write("speedup", [3.214, 3.05, 3.4]), write("money", [1841.7, "EUR", True])
        ('3.21× [3.05, 3.40]', '1,842 EUR (example)')
    """
    try:
        return FORMS[form](*values)
    except KeyError:
        raise DataError(f"{source}: no number is written as {form!r}; known are {', '.join(sorted(FORMS))}.") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{source}: {values!r} cannot be written as {form!r} ({error}).") from error


def check_numbers(page: str, documents: Mapping[str, Any]) -> list[str]:
    """
    Say what is wrong with the numbers of a page; nothing if every one of them is that of its record.

    Each pointed number is written again from its record. In the page's main part no digit may stand outside an element
    that points at a record, alternative texts of figures included.

    Args:
        page: HTML.
        documents: JSON documents by their paths below the run or pack folder.
    """
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(page, "html.parser")
    problems = [one for tag in soup.select(f"[{PLACES}]") for one in _pointed_problems(tag, documents)]
    for tag in soup.select(f"[{BLOCK}]"):
        places = str(tag[BLOCK]).split()
        problems += [] if places else [f"`{_short(tag.get_text())}` names no record."]
        problems += [str(one) for one in (_read(place, documents) for place in places) if isinstance(one, DataError)]
    return problems + [f"`{_short(one)}` points at no record." for one in _unpointed(soup)]


def _pointed_problems(tag: Any, documents: Mapping[str, Any]) -> Iterator[str]:
    shown = tag.get_text()
    values = [_read(place, documents) for place in str(tag[PLACES]).split()]
    wrong = [str(one) for one in values if isinstance(one, DataError)]
    if wrong:
        yield from wrong
        return
    try:
        written = write(str(tag.get(FORM, "")), values, source=str(tag[PLACES]))
    except DataError as error:
        yield str(error)
        return
    if shown.split() != written.split():
        yield f"`{_short(shown)}` is written, but {tag[PLACES]} says `{_short(written)}`."


def _read(place: str, documents: Mapping[str, Any]) -> Any:
    """Return what lies at a place, or the error: a page may have many, and all are told."""
    path, _, pointer = place.partition("#")
    if path not in documents:
        return DataError(f"{place} points into a document that is not there.")
    try:
        return resolve(documents[path], pointer, source=path)
    except DataError as error:
        return error


def _unpointed(soup: Any) -> Iterator[str]:
    def is_pointing(tag: Any) -> bool:
        return any(PLACES in one.attrs or BLOCK in one.attrs for one in (tag, *tag.parents) if one is not None)

    main = soup.main or soup
    for text in main.find_all(string=re.compile(r"\d")):
        if text.parent.name not in ("style", "title") and not is_pointing(text.parent):
            yield str(text)
    for image in main.find_all("img", alt=re.compile(r"\d")):
        if not is_pointing(image):
            yield str(image["alt"])


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 60 else f"{words[:59]}…"


def _count(value: int) -> str:
    return f"{value:,d}"


def _plain(value: float) -> str:
    return units.three_digits(value).replace("-", "−")


def _money(amount: float, currency: str, is_example: bool) -> str:
    return f"{_amount(amount)} {_word(currency)}{_example(is_example)}"


def _money_range(low: float, high: float, currency: str, is_example: bool) -> str:
    ends = _amount(low) if _amount(low) == _amount(high) else f"{_amount(low)} to {_amount(high)}"
    return f"{ends} {_word(currency)}{_example(is_example)}"


def _amount(value: float) -> str:
    text = f"{value:,.0f}" if abs(value) >= _MONEY_LEAST_WHOLE else units.three_digits(value)
    return text.replace("-", "−")


def _example(is_example: bool) -> str:
    if not isinstance(is_example, bool):
        raise TypeError("whether it is an example is true or false")
    return " (example)" if is_example else ""


def _minutes(value_sec: float) -> str:
    minutes = value_sec / 60
    return units.duration(value_sec) if minutes < _LEAST_MINUTES else f"{minutes:.3g} minutes"


def _points(change_ratio: float) -> str:
    return f"{units.points(change_ratio).removesuffix(' pp')} points"


def _word(text: str) -> str:
    if not isinstance(text, str):
        raise TypeError("it is no text")
    return " ".join(text.split())


# How a number may be written; each takes the values at its places, in their order.
FORMS: Mapping[str, Callable[..., str]] = {
    "text": _word,
    "count": _count,
    "length": lambda values: _count(len(values)),
    "plain": _plain,
    "days": lambda value: f"{value:g}",
    "duration": units.duration,
    "size": units.size,
    "speedup": units.speedup,
    "percent": lambda value: units.percent(value, 0),
    "percent-fine": units.percent,
    "minutes": _minutes,
    "points": _points,
    "range": lambda low, high: f"{_plain(low)} to {_plain(high)}",
    "money": _money,
    "money-range": _money_range,
}
