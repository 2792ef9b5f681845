"""
A validation record, computed again from the answers that the run keeps, by other formulas than those that made it.

    found = recompute_validation(Path("outputs/20260101-120000_quickstart_abc1234/records"), "int8")
    found.differing  # () where the record says nothing but what follows from the answers
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perflib.errors import DataError
from perflib.governance.recompute.confidence import confidence
from perflib.governance.recompute.differences import Differences, differences
from perflib.governance.recompute.gaps import gaps
from perflib.governance.recompute.kept import Answers, Probes, read_answers, read_probes
from perflib.governance.recompute.overall import counts, distances
from perflib.governance.recompute.parts import classes, slices
from perflib.governance.recompute.probed import probe_results
from perflib.records import loads

# What nobody can recompute from the kept answers, and why.
BELIEVED: Mapping[str, str] = {
    "identity": "digests and machine of what was asked; the pack compares them with its other files",
    "invariance": "the answers to other batches are not kept",
    "overlaps": "the texts of other splits are not kept",
    "cut_ratio": "the inputs are not kept",
    "long_ratio": "the inputs are not kept",
    "churn": "the answers of the re-trained baseline are not kept with the run",
    "seed": "it is where the resamples begin; with another one the bounds of the differences are others",
    "gates": "see recompute_gates, which also compares their limits with the guardrails",
    "explored": "which examples a search put into an exploratory slice is not kept; none of them is gated",
}
TIES_LEFT_OUT = "ties of the baseline left out"
# Where a profile names no limit of its own.
_BOUND_RATIO, _MARGIN_RATIO = 0.05, 0.01


def recompute_validation(records: Path, name: str) -> Differences:
    """
    Compare ``validation-NAME.json`` with what follows from ``predictions-NAME.parquet`` and ``probes-NAME.parquet``.

    The limits of A2 and A7-bound, and whether A3-negative forgives ties, are taken from the record's gates here;
    `recompute_gates` compares those with the guardrails.

    Args:
        records: The folder with the three files.
        name: Of the candidate.

    Returns:
        What was compared and what differs; what is believed, and why, is in `BELIEVED`.

    Raises:
        DataError: If a file is missing or is not what it should be.
    """
    record = _record(records / f"validation-{name}.json")
    answers = read_answers(records / f"predictions-{name}.parquet")
    probes = read_probes(records / f"probes-{name}.parquet")
    try:
        explored = [one for one in record["slices"] if one["is_exploratory"]]
        judged = [one for one in record["slices"] if not one["is_exploratory"]]
        mine = _recomputed(record, answers, probes) | {"explored": [{"is_gated": False} for _ in explored]}
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, IndexError) as error:
        raise DataError(f"the validation of {name} cannot be recomputed ({error!r}); validate it again.") from error
    return differences(record | {"slices": judged, "explored": explored}, mine, believed=BELIEVED)


def _recomputed(record: Mapping[str, Any], answers: Answers, probes: Probes | None) -> dict[str, Any]:
    limits = {gate["id"]: gate["limit"] for gate in record["gates"]}
    has_free_ties = any(gate["id"] == "A3-negative" and TIES_LEFT_OUT in gate["sentence"] for gate in record["gates"])
    bound_ratio = limits.get("A7-bound", _BOUND_RATIO)
    return {
        **counts(answers, margin_ratio=limits.get("A2", _MARGIN_RATIO)),
        **confidence(answers, seed=record["seed"]),
        "distances": distances(answers),
        "slices": slices(answers, bound_ratio=bound_ratio, has_free_ties=has_free_ties),
        "classes": classes(answers, bound_ratio=bound_ratio),
        "gaps": gaps(answers, seed=record["seed"]),
        "probes": probe_results(probes) if probes else [],
    }


def _record(path: Path) -> dict[str, Any]:
    try:
        record = loads(path.read_bytes(), source=str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); validate the candidate again.") from error
    if not isinstance(record, dict):
        raise DataError(f"{path} holds no JSON object; validate the candidate again.")
    return record
