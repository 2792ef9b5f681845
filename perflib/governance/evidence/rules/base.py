"""
What a rule of the verifier is: a title, and a function that goes through a pack and yields what it looked at.

A rule yields None for each thing that holds and a `PackProblem` for each that does not. It raises nothing of its own:
what a hostile file makes it stumble over is caught by whoever runs it and becomes a problem of the pack.
"""

import dataclasses
import datetime
from collections.abc import Callable, Iterator

from perflib.errors import DataError
from perflib.governance.evidence.pack import Pack
from perflib.governance.evidence.strict import path_problem, shown
from perflib.results import RunSummary
from perflib.results.governance import PackProblem

SCHEMA, DIGEST, SIGNATURE, CROSS_FILE, POLICY, STALE = 2, 3, 4, 5, 6, 7
# One look: nothing where it holds.
Look = PackProblem | None


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a rule may know beside the pack: the day in UTC, and names that must not stand in it."""

    today: datetime.date
    host_names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule: ``name`` as in I1 to I12, what it promises in one line, and the function that looks."""

    name: str
    title: str
    look: Callable[[Pack, Setting], Iterator[Look]]


def held(is_kept: bool, rule: str, path: str, sentence: str, *, code: int = CROSS_FILE) -> Look:
    """Return nothing where something holds, else what is wrong."""
    return None if is_kept else broken(rule, path, sentence, code=code)


def broken(rule: str, path: str, sentence: str, *, code: int = CROSS_FILE) -> PackProblem:
    """Return what is wrong; the words of the pack are made plain."""
    return PackProblem(code, rule, shown(path), shown(sentence))


def summary(pack: Pack) -> RunSummary:
    """Return `run.json`."""
    return pack.record(RunSummary, "run.json")


def claimed_names(pack: Pack) -> list[str]:
    """
    Return every candidate that anything in the pack calls fit to be shipped.

    Taking a name out of one of the three places therefore hides nothing.

    Raises:
        DataError: If a name is none that a file could bear.
    """
    approved = {one.name for one in summary(pack).candidates if one.verdict == "approved" and one.is_finalist}
    names = sorted({*pack.manifest.claimed, *pack.manifest.promoted, *approved})
    for name in names:
        if "/" in name or path_problem(name):
            raise DataError(f"{shown(name)} is no name of a candidate; build the pack again.")
    return names
