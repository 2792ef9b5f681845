"""
A decision as a file: one part that perflib writes and may write again, and around it what people wrote.

    ---
    status: accepted                   people's; perflib writes `status` and `review_by` only until somebody edits them
    decision-makers: [Ada]             people's
    # perflib:begin {"status":"proposed","review_by":"2026-05-30"}     what perflib wrote there last
    id: ADR-0001                       perflib's
    # perflib:end
    ---
    <!-- perflib:begin -->             perflib's
    <!-- perflib:end -->
    ## In people's words               people's

A file that does not look like this is refused and left alone, because nobody could tell whose words are whose.
"""

import dataclasses
import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from perflib import records
from perflib.errors import DataError, did_you_mean
from perflib.plain_yaml import StrictLoader
from perflib.results.governance import Decision

PEOPLES_KEYS = ("decision-makers", "consulted", "informed")
SHARED_KEYS = ("status", "review_by")
_YAML_BEGIN, _YAML_END = "# perflib:begin", "# perflib:end"
_BODY_BEGIN, _BODY_END = "<!-- perflib:begin -->", "<!-- perflib:end -->"
_FENCE = "---"
_MAX_BYTES = 1_000_000
_ROOM_FOR_PEOPLE = """
## In people's words

<!-- Write below. A re-run of perflib changes neither this part nor what you edit at the top of the file. -->
"""


@dataclasses.dataclass(frozen=True)
class DecisionFile:
    """
    A decision's file, cut where perflib's parts begin and end.

    ``head``, ``middle`` and ``tail`` are people's and kept to the byte; ``facts`` and ``body`` are perflib's;
    ``last`` is what perflib wrote into the shared keys the last time.
    """

    path: Path
    decision: Decision
    head: str
    last: Mapping[str, str]
    facts: str
    middle: str
    body: str
    tail: str

    @property
    def is_status_of_people(self) -> bool:
        """Whether a person has set the status."""
        return self.decision.status != self.last.get("status")

    def text(self) -> str:
        """Return the whole file."""
        last = records.dumps(dict(self.last))
        facts = f"{_YAML_BEGIN} {last}\n{self.facts}{_YAML_END}\n"
        return f"{self.head}{facts}{self.middle}{_BODY_BEGIN}\n{self.body}{_BODY_END}\n{self.tail}"


def new_file(path: Path, decision: Decision, body: str) -> DecisionFile:
    """Return the file of a decision that was not written before."""
    last = _shared(decision)
    people: dict[str, list[str]] = {key: [] for key in PEOPLES_KEYS}
    head = f"{_FENCE}\n{_dump(last)}{_dump(people)}"
    return DecisionFile(path, decision, head, last, _facts(decision), f"{_FENCE}\n\n", body, _ROOM_FOR_PEOPLE)


def renewed(old: DecisionFile, decision: Decision, body: str) -> DecisionFile:
    """
    Return a file with perflib's parts written again.

    A shared key that a person has edited stays as it is, and the decision follows it.
    """
    head, last, kept = old.head, dict(old.last), {}
    for key, value in _shared(decision).items():
        before = _dump({key: old.last.get(key, "")}).rstrip("\n")
        pattern = re.compile(rf"^{re.escape(before)}(?=\r?$)", re.MULTILINE)
        if pattern.search(head):
            now = _dump({key: value}).rstrip("\n")
            head = pattern.sub(lambda _, now=now: now, head, count=1)  # type: ignore[misc]
            last[key] = value
        else:
            kept[key] = getattr(old.decision, key)
    actual = dataclasses.replace(decision, **kept)
    return dataclasses.replace(old, decision=actual, head=head, last=last, facts=_facts(actual), body=body)


def read_file(path: Path) -> DecisionFile:
    """
    Read a decision's file.

    Raises:
        DataError: If it cannot be read, a marker is missing or stands twice, or its front matter is not what it
            should be. The file is never touched.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _refusal(path, f"it is larger than {_MAX_BYTES:,} bytes")
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _refusal(path, f"it cannot be read as UTF-8 text: {error}") from error
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    marks = _marks(lines, path)
    begin, end, fence, body, close = marks
    front = _front_matter("".join(lines[1:fence]), path)
    return DecisionFile(
        path=path,
        decision=_decision(front, path),
        head="".join(lines[:begin]),
        last=_last(lines[begin], path),
        facts="".join(lines[begin + 1 : end]),
        middle="".join(lines[end + 1 : body]),
        body="".join(lines[body + 1 : close]),
        tail="".join(lines[close + 1 :]),
    )


def _shared(decision: Decision) -> dict[str, str]:
    return {key: str(getattr(decision, key)) for key in SHARED_KEYS}


def _facts(decision: Decision) -> str:
    return _dump({key: value for key, value in decision.to_dict().items() if key not in SHARED_KEYS})


def _dump(value: Mapping[str, Any]) -> str:
    # Through JSON, so that tuples are plain lists. The width keeps every value on its own line.
    plain = records.loads(records.dumps(dict(value)))
    ordered = {key: plain[key] for key in value}
    return yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=100_000)


def _marks(lines: list[str], path: Path) -> tuple[int, int, int, int, int]:
    stripped = [line.rstrip() for line in lines]
    if not stripped or stripped[0] != _FENCE or _FENCE not in stripped[1:]:
        raise _refusal(path, "it has no front matter between two lines `---`")
    fence = stripped.index(_FENCE, 1)
    where = []
    for mark in (_YAML_BEGIN, _YAML_END, _BODY_BEGIN, _BODY_END):
        found = [index for index, line in enumerate(stripped) if line == mark or line.startswith(f"{mark} ")]
        if len(found) != 1:
            raise _refusal(path, f"the line `{mark}` stands in it {len(found)} times and not once")
        where.append(found[0])
    begin, end, body, close = where
    if not begin < end < fence < body < close:
        raise _refusal(path, "its lines `perflib:begin` and `perflib:end` stand in another order")
    return begin, end, fence, body, close


def _last(line: str, path: Path) -> dict[str, str]:
    found = records.loads(line.strip().removeprefix(_YAML_BEGIN), source=str(path))
    if not isinstance(found, dict) or set(found) != set(SHARED_KEYS):
        raise _refusal(path, f"its line `{_YAML_BEGIN}` was edited")
    return {key: str(found[key]) for key in SHARED_KEYS}


def _front_matter(text: str, path: Path) -> dict[str, Any]:
    try:
        found = yaml.load(text, Loader=StrictLoader)  # noqa: S506 -- a child of SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:160]
        raise _refusal(path, f"its front matter is not plain YAML: {reason}") from error
    if not isinstance(found, dict):
        raise _refusal(path, "its front matter holds no keys")
    return found


def _decision(front: Mapping[str, Any], path: Path) -> Decision:
    known = [*PEOPLES_KEYS, "schema", *(one.name for one in dataclasses.fields(Decision))]
    for key in front:
        if key not in known:
            raise _refusal(path, f"`{key}` is no key of a decision; {did_you_mean(str(key), known).rstrip('.')}")
    for key in PEOPLES_KEYS:
        names = front.get(key)
        if not (names is None or isinstance(names, str) or _are_names(names)):
            raise _refusal(path, f"`{key}` holds {names!r} and not names")
    body = {key: _plain_date(value) for key, value in front.items() if key not in PEOPLES_KEYS}
    decision = Decision.from_dict(body, source=str(path))
    _check(decision, path)
    return decision


def _check(decision: Decision, path: Path) -> None:
    for key in ("date", "review_by"):
        try:
            datetime.date.fromisoformat(getattr(decision, key))
        except ValueError as error:
            raise _refusal(path, f"`{key}` is {getattr(decision, key)!r} and no date such as 2026-03-01") from error
    if not re.fullmatch(r"ADR-\d{4,}", decision.id):
        raise _refusal(path, f"`id` is {decision.id!r} and not such as ADR-0001")
    if len(decision.options) < 2 or decision.chosen not in decision.options:
        raise _refusal(path, f"`chosen` is {decision.chosen!r}, and it has to be one of two `options` or more")
    if not decision.evidence:
        raise _refusal(path, "`evidence` cites nothing")


def _plain_date(value: Any) -> Any:
    # People write a date without quotes, and YAML then makes one of it.
    return value.isoformat() if type(value) is datetime.date else value


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _refusal(path: Path, reason: str) -> DataError:
    return DataError(
        f"{path} is no decision as perflib writes them ({reason}); nothing was overwritten; "
        "put it right or move it away."
    )
