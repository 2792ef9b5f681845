"""
May a candidate be shipped? The rule of a run's summary, written a second time.

approved     validation PASS or WARN, faster in at least one scenario, slower in none
quarantined  a gate or a scenario says no, or nothing is gained
undecided    something that is required stayed open
failed       it could not be built or run
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perflib.errors import DataError
from perflib.governance.recompute.bounds import Pairs, not_shown_together
from perflib.governance.recompute.gates import counts_as
from perflib.records import loads

_CUT_SHORT = frozenset({"running", "interrupted", "arm-failed"})
_KINDS = ("build", "comparison", "validation", "failure")

AnyRecord = Mapping[str, Any]


def candidate_verdict(
    build: AnyRecord | None,
    comparison: AnyRecord | None,
    validation: AnyRecord | None,
    *,
    failure: AnyRecord | None = None,
) -> str:
    """
    Return the verdict on one candidate by itself; `run_verdicts` judges the finalists of a run together.

    Args:
        build: Its build, as the JSON file holds it; None where there is none.
        comparison: Its comparison with the baseline.
        validation: Its validation.
        failure: What could not be done.
    """
    if failure is not None or build is None or comparison is None or validation is None:
        return "failed"
    if comparison["stop"] in _CUT_SHORT:
        return "failed"
    speeds = {one["verdict"] for one in comparison["scenarios"]}
    gates = {counts_as(gate) for gate in validation["gates"]}
    if "FAIL" in gates or "REGRESSION" in speeds:
        return "quarantined"
    if "INCONCLUSIVE" in gates or not gates:
        return "undecided"
    if "IMPROVEMENT" in speeds:
        return "approved"
    return "undecided" if "INCONCLUSIVE" in speeds else "quarantined"


def run_verdicts(folder: Path) -> dict[str, tuple[str, bool]]:
    """
    Return for every candidate that `run.json` lists its verdict and whether it is a finalist, from the records alone.

    That none of several finalists loses more than its margin has to be shown for all together (Holm). Which candidates
    were named before the test split was seen is believed: the params in `run.json` say so.

    Args:
        folder: Of the run, or of a pack.

    Raises:
        DataError: If `run.json` or a record is missing or damaged.
    """
    run = _read(folder / "run.json")
    if run is None:
        raise DataError(f"{folder} has no run.json; name the folder of a run or of its pack.")
    try:
        named = run["params"].get("finalists") or None
        found = {one["name"]: _records(folder, one["name"]) for one in run["candidates"]}
        finalists = {name for name in found if named is None or name in named}
        held = _not_shown({name: found[name]["validation"] for name in finalists})
        verdicts = {}
        for name, of in found.items():
            alone = candidate_verdict(of["build"], of["comparison"], of["validation"], failure=of["failure"])
            verdict = "undecided" if name in held and alone == "approved" else alone
            verdicts[name] = verdict, name in finalists
        return verdicts
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise DataError(f"the verdicts of {folder} cannot be given again ({error!r}); make the run again.") from error


def recompute_verdicts(folder: Path) -> tuple[str, ...]:
    """
    Say where `run.json` gives another verdict than its records do; see `run_verdicts`.

    Args:
        folder: Of the run, or of a pack.
    """
    mine, run = run_verdicts(folder), _read(folder / "run.json") or {}
    return tuple(
        f"{one['name']} is {_words(one['verdict'], one['is_finalist'])}, and follows as {_words(*mine[one['name']])}."
        for one in run["candidates"]
        if (one["verdict"], one["is_finalist"]) != mine[one["name"]]
    )


def _not_shown(validations: Mapping[str, AnyRecord | None]) -> frozenset[str]:
    """Return the finalists that pass their margin alone and not beside the others."""
    gates = {name: gate for name, one in validations.items() if one for gate in one["gates"] if gate["id"] == "A2"}
    family = {}
    for name, gate in gates.items():
        one = validations[name] or {}
        pairs = Pairs(one["negative_flip_count"], one["positive_flip_count"], one["example_count"])
        family[name] = pairs, float(gate["limit"])
    if len(family) < 2:
        return frozenset()
    # Who does not pass alone has a gate that says so, or a waiver that bears it.
    return frozenset(name for name in not_shown_together(family) if gates[name]["verdict"] == "PASS")


def _records(folder: Path, name: str) -> dict[str, AnyRecord | None]:
    return {kind: _read(folder / "records" / f"{kind}-{name}.json") for kind in _KINDS}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = loads(path.read_bytes(), source=str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); make the run again.") from error
    if not isinstance(record, dict):
        raise DataError(f"{path} holds no JSON object; make the run again.")
    return record


def _words(verdict: str, is_finalist: bool) -> str:
    return verdict if is_finalist else f"{verdict} (no finalist)"
