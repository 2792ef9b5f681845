"""
What a run leaves for those who decide: its records, read once, and where each of them lies.

    ledger = read_ledger(run, candidates, outcomes)
    ledger.comparisons["int8"], ledger.place("comparison", "int8", "/scenarios/0/speedup_ratio/estimate")
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from perflib.errors import ParameterError
from perflib.records import Record
from perflib.results import (
    Baseline,
    Build,
    Candidate,
    Comparison,
    FindingOutcome,
    Prediction,
    RunSummary,
    Validation,
)
from perflib.results.governance import Pointer
from perflib.results.history import EnvironmentLock, Provenance
from perflib.runs import Run

AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclasses.dataclass(frozen=True)
class Ledger:
    """
    The records of one finished run, by the names of its candidates; a name is missing where there is no record.

    ``candidates`` are judged together, the finalists first; ``outcomes`` say what became of the findings. ``promoted``
    names the candidates that a person has promoted from this run.
    """

    folder: Path
    summary: RunSummary
    baseline: Baseline | None
    candidates: tuple[Candidate, ...]
    builds: Mapping[str, Build]
    comparisons: Mapping[str, Comparison]
    validations: Mapping[str, Validation]
    predictions: Mapping[str, Prediction]
    outcomes: tuple[FindingOutcome, ...]
    provenance: Provenance | None
    lock: EnvironmentLock | None
    promoted: tuple[str, ...] = ()

    @property
    def workload(self) -> str:
        """The name of what is optimised."""
        asked = self.summary.params.get("workload", "")
        return str(asked if isinstance(asked, str) else asked.get("name", ""))

    @property
    def approved(self) -> tuple[str, ...]:
        """The candidates that may be shipped: approved, and finalists."""
        return tuple(one.name for one in self.candidates if one.verdict == "approved" and one.is_finalist)

    def candidate(self, name: str) -> Candidate:
        """
        Return one candidate.

        Raises:
            ParameterError: If the run has none of this name.
        """
        found = next((one for one in self.candidates if one.name == name), None)
        if found is None:
            names = ", ".join(one.name for one in self.candidates) or "none"
            raise ParameterError(f"run {self.summary.run_id} has no candidate `{name}`; it has {names}.")
        return found

    def place(self, kind: str, name: str, pointer: str = "") -> Pointer:
        """
        Return where a value lies.

        Args:
            kind: Of the record, such as ``comparison``.
            name: Of the record, such as ``int8``.
            pointer: JSON pointer (RFC 6901) into it; empty for the whole record.
        """
        return Pointer(f"records/{kind}-{name}.json", pointer)


def read_ledger(
    run: Run,
    candidates: Sequence[Candidate],
    outcomes: Sequence[FindingOutcome] = (),
    promoted: Sequence[str] = (),
) -> Ledger:
    """
    Read a run's records.

    Args:
        run: Finished, or about to be.
        candidates: Judged.
        outcomes: Of the baseline's findings.
        promoted: Names of this run's candidates that were promoted.

    Raises:
        ParameterError: If the folder has no `run.json`.
        DataError: If a record is damaged.
    """
    summary = run.summary()
    if summary is None:
        raise ParameterError(f"{run.folder} has no run.json; name the folder of a run that `perflib run` made.")
    return Ledger(
        folder=run.folder,
        summary=summary,
        baseline=run.read(Baseline, "baseline"),
        candidates=tuple(candidates),
        builds=_by_name(run, Build, candidates),
        comparisons=_by_name(run, Comparison, candidates),
        validations=_by_name(run, Validation, candidates),
        predictions=_by_name(run, Prediction, candidates),
        outcomes=tuple(outcomes),
        provenance=run.read(Provenance, "run"),
        lock=run.read(EnvironmentLock, "run"),
        promoted=tuple(promoted),
    )


def _by_name(run: Run, kind: type[AnyRecord], candidates: Sequence[Candidate]) -> dict[str, AnyRecord]:
    found = {one.name: run.read(kind, one.name) for one in candidates}
    return {name: record for name, record in found.items() if record is not None}
