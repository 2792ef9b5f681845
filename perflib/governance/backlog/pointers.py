"""Where each number of an item stands in the records of its run."""

from collections.abc import Iterator

from perflib.governance.backlog.risk import worst_slice
from perflib.governance.backlog.untried import Untried
from perflib.governance.ledger import Ledger
from perflib.results.governance import Finops, Pointer

_PRICES = "records/prices-run.json"


def candidate_pointers(ledger: Ledger, name: str, finops: Finops) -> tuple[Pointer, ...]:
    """Return where speed, memory, size, accuracy, flips, the worst slice, cost and assumptions of a candidate stand."""
    return (
        *_summary(ledger, name),
        *_built(ledger, name),
        *_timed(ledger, name),
        *_validated(ledger, name),
        *(
            Pointer("records/finops-run.json", f"/arms/{place}")
            for place, arm in enumerate(finops.arms)
            if arm.name == name
        ),
        *_assumed(),
    )


def hypothesis_pointers(one: Untried) -> tuple[Pointer, ...]:
    """Return where the findings and the assumptions of something that was not tried stand."""
    findings = (Pointer("records/findings-baseline.json", f"/findings/{place}") for place in one.places)
    return (*findings, *_assumed())


def _summary(ledger: Ledger, name: str) -> Iterator[Pointer]:
    # While a run is being made its summary names no candidates yet.
    for place, one in enumerate(ledger.summary.candidates):
        if one.name == name:
            yield Pointer("run.json", f"/candidates/{place}")


def _built(ledger: Ledger, name: str) -> Iterator[Pointer]:
    if name in ledger.builds:
        for field in ("size_bytes", "parent_size_bytes", "build_sec"):
            yield ledger.place("build", name, f"/{field}")
    if name in ledger.predictions:
        yield ledger.place("prediction", name, "/predicted_speedup_ratio")


def _timed(ledger: Ledger, name: str) -> Iterator[Pointer]:
    comparison = ledger.comparisons.get(name)
    if comparison is None:
        return
    for place, _ in enumerate(comparison.scenarios):
        yield ledger.place("comparison", name, f"/scenarios/{place}/speedup_ratio")
    for place, _ in enumerate(comparison.metrics):
        yield ledger.place("comparison", name, f"/metrics/{place}/ratio")


def _validated(ledger: Ledger, name: str) -> Iterator[Pointer]:
    validation = ledger.validations.get(name)
    if validation is None:
        return
    for field in ("verdict", "accuracy_change_ratio", "negative_flip_count", "example_count"):
        yield ledger.place("validation", name, f"/{field}")
    worst = worst_slice(validation)
    if worst is not None:
        yield ledger.place("validation", name, f"/slices/{validation.slices.index(worst)}")
    for place, gate in enumerate(validation.gates):
        if gate.verdict != "PASS":
            yield ledger.place("validation", name, f"/gates/{place}")


def _assumed() -> Iterator[Pointer]:
    for field in ("inferences_per_month", "effort_days", "work_per_day", "on_demand_per_hour", "utilisation_ratio"):
        yield Pointer(_PRICES, f"/{field}")
