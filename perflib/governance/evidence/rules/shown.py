"""
I7: every number that the report shows as a result is the number in the record that it points at, as far as it is shown.

An element says where its numbers are from: ``data-ev="records/finops-run.json#/arms/0/month_amount"``, or several
places with spaces between them. What is compared is read from the text, with the unit after it; a number without a sign
may be the size of a loss. A whole block, whose numbers were computed from records, names those in ``data-ev-block``;
they must be there. In the page's main part no digit stands outside of both.

    >>> [(one.value, one.scale) for one in numbers_in("−0.57 pp, 18.6 ms")]
    [(-0.57, 100.0), (18.6, 1000.0)]
"""

import dataclasses
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from perflib.errors import DataError
from perflib.governance.evidence.pack import Pack
from perflib.governance.evidence.rules.base import Look, Setting, broken, held
from perflib.governance.evidence.strict import shown
from perflib.results.governance import Pointer

REPORT = "report.html"
POINTER, BLOCK = "data-ev", "data-ev-block"
_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
# Figures have their own numbers, and are drawn from the same records.
_UNREAD = frozenset({"svg", "style", "script", "template", "title"})
_NUMBER = re.compile(
    r"(?P<sign>(?<![\w.])[+−-])?(?P<whole>\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?P<part>\.\d+)?(?P<power>[eE][+-]?\d{1,2})?"
)
_UNIT = re.compile(r"\s*(%|[A-Za-zµ]+)")
_SCALES = {
    "%": 100.0,
    "pp": 100.0,
    "percent": 100.0,
    "points": 100.0,
    "ms": 1e3,
    "µs": 1e6,
    "ns": 1e9,
    "min": 1 / 60,
    "minutes": 1 / 60,
    "h": 1 / 3600,
    "hours": 1 / 3600,
    "kB": 1e-3,
    "MB": 1e-6,
    "GB": 1e-9,
    "k": 1e-3,
    "M": 1e-6,
    "G": 1e-9,
    "million": 1e-6,
    "billion": 1e-9,
}
_PREFIXES = {"k": 1e-3, "M": 1e-6, "G": 1e-9, "T": 1e-12}
_MAX_LEAVES_COUNT = 500


@dataclasses.dataclass(frozen=True)
class Number:
    """A number as it is shown: value, half of its last digit, whether it has a sign, what its unit makes of 1."""

    value: float
    half_step: float
    has_sign: bool
    scale: float

    def is_of(self, value: float) -> bool:
        """Whether a recorded value would be shown so; a number whose unit is a word of the record counts as it is."""
        found = {value, value * self.scale}
        found |= set() if self.has_sign else {abs(one) for one in found}
        return any(abs(self.value - one) <= self.half_step * (1 + 1e-9) for one in found)


def numbers_in(text: str) -> Iterator[Number]:
    """Yield the numbers of a text, left to right."""
    for match in _NUMBER.finditer(text):
        digits = match["whole"].replace(",", "") + (match["part"] or "") + (match["power"] or "")
        power = int((match["power"] or "e0")[1:])
        sign = -1.0 if match["sign"] in ("-", "−") else 1.0
        half_step = 0.5 * 10.0 ** (power - max(len(match["part"] or "") - 1, 0))
        unit = _UNIT.match(text, match.end())
        yield Number(sign * float(digits), half_step, match["sign"] is not None, _scale(unit[1] if unit else ""))


def numbers(pack: Pack, _: Setting) -> Iterator[Look]:
    """Go through the report: every pointed text against its record, and no digit without a pointer (I7)."""
    page = _Page()
    page.feed(pack.text(REPORT))
    page.close()
    yield held(page.results_count > 0, "I7", REPORT, "It has no main part, so its numbers are from nowhere.")
    for text in page.unpointed:
        yield broken("I7", REPORT, f"`{shown(text)}` stands among results and points at no record.")
    for place in page.blocks:
        yield from _compare(pack, place, "", is_block=True)
    for place, text in page.pointed:
        yield from _compare(pack, place, text)


def _compare(pack: Pack, place: str, text: str, *, is_block: bool = False) -> Iterator[Look]:
    leaves: list[float | str] = []
    try:
        for word in place.split():
            path, _, pointer = word.partition("#")
            value = pack.value(Pointer(path, pointer))
            leaves += [] if is_block else _leaves(value)
    except DataError as error:
        yield broken("I7", REPORT, f"`{shown(text)}`: {error}")
        return
    known = [one for one in leaves if isinstance(one, float)]
    known += [number.value for one in leaves if isinstance(one, str) for number in numbers_in(one)]
    is_said = " ".join(text.split()) in leaves
    for number in numbers_in(text):
        is_kept = is_said or any(number.is_of(value) for value in known)
        yield held(is_kept, "I7", REPORT, f"`{shown(text)}` is not what stands in {shown(place)}.")


def _leaves(value: Any) -> list[float | str]:
    """Return the numbers and texts at a place, and how long its lists are; of a list of objects only its length."""
    found: list[float | str] = []
    if isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        return [float(len(value))]
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one
            found += [float(len(one))] if isinstance(one, list) else []
        elif isinstance(one, str):
            found.append(" ".join(one.split()))
        elif isinstance(one, int | float) and not isinstance(one, bool):
            found.append(float(one))
        if len(found) > _MAX_LEAVES_COUNT:
            raise DataError("the pointer leads to so much that any number would be in it.")
    return found


def _scale(unit: str) -> float:
    if unit in _SCALES:
        return _SCALES[unit]
    has_prefix = unit[:1] in _PREFIXES and unit[1:2].isupper()
    return _PREFIXES[unit[0]] if has_prefix else 1.0


@dataclasses.dataclass
class _Element:
    tag: str
    place: str | None
    is_result: bool
    is_block: bool
    is_unread: bool
    texts: list[str]


class _Page(HTMLParser):
    """What a page shows: the texts with a pointer, and the texts with a digit and without one among results."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pointed: list[tuple[str, str]] = []
        self.unpointed: list[str] = []
        self.blocks: list[str] = []
        self.results_count = 0
        self._open: list[_Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.results_count += tag == "main"
        block = found.get(BLOCK)
        if BLOCK in found:
            self.blocks.append(block or "data-ev-block")
        if tag not in _VOID:
            self._open.append(_Element(tag, found.get(POINTER), tag == "main", block is not None, tag in _UNREAD, []))
        if tag == "img":
            self._data(found.get("alt") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in {one.tag for one in self._open}:
            return
        while self._open:
            closed = self._open.pop()
            self._close(closed)
            if closed.tag == tag:
                return

    def handle_data(self, data: str) -> None:
        if any(one.is_unread for one in self._open):
            return
        pointing = [one for one in self._open if one.place is not None]
        if pointing:
            pointing[-1].texts.append(data)
        else:
            self._data(data)

    def _data(self, data: str) -> None:
        has_place = any(one.place is not None or one.is_block for one in self._open)
        if not has_place and any(one.is_result for one in self._open) and any(one.isdigit() for one in data):
            self.unpointed.append(data.strip())

    def close(self) -> None:
        super().close()
        while self._open:
            self._close(self._open.pop())

    def _close(self, element: _Element) -> None:
        if element.place is not None:
            self.pointed.append((element.place, "".join(element.texts)))
