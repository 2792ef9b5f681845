"""
What a run offers to somebody who decides: the candidate that may be shipped, its records, and pointers into them.

    case = Case(run)
    case.best.name, case.number(Finops, "run", "/arms/1/month_amount", "/currency", "/is_example", form="money")
"""

import dataclasses
import functools
import html
from collections.abc import Sequence
from typing import TypeVar

from perflib import machine, verdict
from perflib.pointed import Evidence
from perflib.profiling.outcomes import settle
from perflib.records import Record
from perflib.results import (
    Baseline,
    Build,
    Candidate,
    Comparison,
    Failure,
    FindingOutcome,
    Findings,
    RunSummary,
    Validation,
)
from perflib.results.governance import (
    Backlog,
    BacklogItem,
    Carbon,
    Finops,
    Rehearsal,
    RiskRegister,
    RolloutPlan,
)
from perflib.runs import Run

WHOLE = "run"
AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclasses.dataclass(frozen=True)
class Case:
    """One run, read for its decision; a record that is missing is None."""

    run: Run

    @functools.cached_property
    def evidence(self) -> Evidence:
        """The run's documents."""
        return Evidence(self.run.folder)

    @functools.cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every candidate with its verdict, what may be shipped first."""
        return verdict.ranked(verdict.judge_run(self.run))

    @functools.cached_property
    def best(self) -> Candidate | None:
        """
        The candidate that we recommend, of those that may be shipped.

        It is the first by money where the prices are the reader's own, else the fastest: examples decide nothing.
        """
        offered = [one for one in self.candidates if verdict.is_offered(one)]
        if self.backlog is not None and not self.backlog.is_example and self.first_by_money is not None:
            return self.first_by_money
        return next(iter(offered), None)

    @functools.cached_property
    def first_by_money(self) -> Candidate | None:
        """The candidate that the backlog puts first, of those that may be shipped; None without a backlog."""
        ranks = {one.name: found[1].rank for one in self.candidates if (found := self.item(one.name))}
        offered = [one for one in self.candidates if verdict.is_offered(one) and ranks.get(one.name) is not None]
        return min(offered, key=lambda one: ranks[one.name] or 0, default=None)

    @functools.cached_property
    def summary(self) -> RunSummary | None:
        """The run's own record."""
        return self.run.summary()

    @functools.cached_property
    def card(self) -> machine.MachineCard:
        """The machine on which the run was made."""
        if self.summary is not None:
            return machine.MachineCard.from_dict(self.summary.machine, source="the machine card of run.json")
        return machine.read_card()

    @functools.cached_property
    def baseline(self) -> Baseline | None:
        """The model of today."""
        return self.run.read(Baseline, "baseline")

    @functools.cached_property
    def comparison(self) -> Comparison | None:
        """How fast the recommended candidate is."""
        return self._of_best(Comparison)

    @functools.cached_property
    def validation(self) -> Validation | None:
        """How right the recommended candidate is."""
        return self._of_best(Validation)

    @functools.cached_property
    def plan(self) -> RolloutPlan | None:
        """How the recommended candidate goes to users."""
        return self._of_best(RolloutPlan)

    @functools.cached_property
    def rehearsal(self) -> Rehearsal | None:
        """How the way back went when it was tried."""
        return self._of_best(Rehearsal)

    @functools.cached_property
    def finops(self) -> Finops | None:
        """What the arms cost."""
        return self.run.read(Finops, WHOLE)

    @functools.cached_property
    def carbon(self) -> Carbon | None:
        """What the arms emit."""
        return self.run.read(Carbon, WHOLE)

    @functools.cached_property
    def backlog(self) -> Backlog | None:
        """What to do next."""
        return self.run.read(Backlog, WHOLE)

    @functools.cached_property
    def risks(self) -> RiskRegister | None:
        """What could go wrong."""
        return self.run.read(RiskRegister, WHOLE)

    @functools.cached_property
    def outcomes(self) -> tuple[FindingOutcome, ...]:
        """What became of the baseline's findings; empty where it was not profiled."""
        findings = self.run.read(Findings, "baseline")
        if findings is None:
            return ()
        compared = {name: self.run.read(Comparison, name) for name in self.run.names(Comparison)}
        return settle(findings, {name: one for name, one in compared.items() if one is not None})

    @property
    def unit(self) -> str:
        """What one example is called, as HTML."""
        return html.escape(self.baseline.unit) if self.baseline else "examples"

    def item(self, name: str) -> tuple[int, BacklogItem] | None:
        """Return place and backlog item of a candidate."""
        items = self.backlog.items if self.backlog else ()
        return next(((place, one) for place, one in enumerate(items) if one.id == f"OPT-{name}"), None)

    def number(self, kind: type[Record], name: str, *pointers: str, form: str) -> str:
        """Return values of a record as HTML with their places; see `Evidence.number`."""
        return self.evidence.number(place(kind, name), *pointers, form=form)

    def text(self, kind: type[Record], name: str, pointer: str) -> str:
        """Return a text of a record as HTML with its place."""
        return self.evidence.text(place(kind, name), pointer)

    def name(self, candidate: Candidate) -> str:
        """Return a candidate's name as HTML with a place where it stands."""
        for kind in (Build, Comparison, Validation, Failure):
            if self.evidence.has(place(kind, candidate.name)):
                return self.text(kind, candidate.name, "/name")
        return html.escape(candidate.name)

    def reason(self, candidate: Candidate) -> str:
        """Return why a candidate may not be shipped, as HTML with its place; the first reason counts."""
        name = candidate.name
        if self.evidence.has(place(Failure, name)):
            return self.text(Failure, name, "/sentence")
        validation, comparison = self.run.read(Validation, name), self.run.read(Comparison, name)
        if validation is None or comparison is None:
            return "It was not measured to its end."
        for wanted in ("FAIL", "INCONCLUSIVE"):
            gate = _first([one.counts_as == wanted for one in validation.gates])
            if gate is not None:
                return self.text(Validation, name, f"/gates/{gate}/sentence")
            slow = _first([one.verdict == _SPEED_WORDS[wanted] for one in comparison.scenarios])
            if slow is not None:
                speed = self._ratio(name, slow, _BOUNDS)
                how = way(comparison.scenarios[slow].scenario)
                return f"{_SPEED_REASONS[wanted]} It is {speed} as fast as today {how}."
        if any(one.verdict == "IMPROVEMENT" for one in comparison.scenarios):
            return "Alone it would hold. Judged with the others that were tried, its loss is not ruled out yet."
        return "It is not faster than today."

    def speed(self, scenario: str, *, has_bounds: bool = False) -> str | None:
        """Return how many times as fast the recommended candidate is in a scenario, as HTML; None where not known."""
        scenarios = self.comparison.scenarios if self.comparison else ()
        found = _first([one.scenario == scenario for one in scenarios])
        if self.best is None or found is None:
            return None
        return self._ratio(self.best.name, found, _BOUNDS if has_bounds else _BOUNDS[:1])

    def _ratio(self, name: str, place_index: int, ends: Sequence[str]) -> str:
        start = f"/scenarios/{place_index}/speedup_ratio"
        return self.number(Comparison, name, *(f"{start}/{end}" for end in ends), form="speedup")

    def _of_best(self, kind: type[AnyRecord]) -> AnyRecord | None:
        return self.run.read(kind, self.best.name) if self.best else None


_BOUNDS = ("estimate", "low", "high")
_SPEED_WORDS = {"FAIL": "REGRESSION", "INCONCLUSIVE": "INCONCLUSIVE"}
_SPEED_REASONS = {"FAIL": "It is slower.", "INCONCLUSIVE": "We cannot tell yet."}
_WAYS = {"single": "one at a time", "offline": "all at once", "server": "as a server"}


def place(kind: type[Record], name: str) -> str:
    """Return where a record lies below the run folder."""
    return f"records/{kind.schema.split('/')[1]}-{name}.json"


def way(scenario: str) -> str:
    """Return a scenario in plain words, as HTML."""
    return _WAYS.get(scenario, f"in {html.escape(scenario)}")


def _first(wanted: Sequence[bool]) -> int | None:
    return next((index for index, is_wanted in enumerate(wanted) if is_wanted), None)
