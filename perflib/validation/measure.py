"""
From both models' answers to everything that a gate looks at: one pure function, so that anyone can compute it again.

Nothing here asks a model. What was asked is in `Answered`, and all of it is kept with the run.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflib.results import Churn, Confidence, Identity, Interval, Invariance, Overlap, SliceResult, Validation
from perflib.validation import quality
from perflib.validation.confidence import confidence_changes, describe_confidence
from perflib.validation.distances import distances
from perflib.validation.gaps import gap_results
from perflib.validation.gates import Limit
from perflib.validation.numerics import non_finite_count, sum_error_ratio
from perflib.validation.predictions import Paired
from perflib.validation.probes import ProbeAnswers
from perflib.validation.robustness import probe_results
from perflib.validation.slices import class_results, cut, judge_exploratory, judge_slices, propose_slices

TIE_MARGIN_RATIO = 0.001
# Where a profile names no bound for slices, only those are judged that could rule out so large a loss.
_SLICE_BOUND_RATIO = 0.05
_MARGIN = 0.01
# The least sure tenth of answers flips first, in every model: no group that could drift apart from another.
_NO_GROUPS = frozenset({"baseline margin"})


@dataclasses.dataclass(frozen=True)
class Answered:
    """
    What was asked of both models, and what they said.

    ``paired`` has the test split, with a column for every slice; ``probes`` is None where no probe can be made of the
    inputs. ``cut_ratio`` and ``long_ratio`` as in `perflib.results.Validation`.
    """

    paired: Paired
    labels: tuple[str, ...]
    probes: ProbeAnswers | None
    invariance: tuple[Invariance, ...]
    overlaps: tuple[Overlap, ...]
    identity: Identity
    split_sha256: str
    cut_ratio: float = 0.0
    long_ratio: float | None = None
    churn: Churn | None = None
    absent_suites: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def measure(
    answered: Answered,
    *,
    name: str,
    profile: str,
    limits: Mapping[str, Limit],
    guardrails_sha256: str,
    seed: int = 0,
) -> Validation:
    """
    Compute the record of a validation; its gates are still to be judged.

    Args:
        answered: What both models said.
        name: The candidate.
        profile: Of the guardrails.
        limits: Of that profile; they decide the margin, which slices are large enough, and whether ties are forgiven.
        guardrails_sha256: Digest of the file they come from.
        seed: Of the bootstraps.
    """
    paired = answered.paired
    flips = quality.count_flips(paired)
    right_before_count = int(np.sum(quality.answers(paired.baseline) == paired.labels))
    tie_count, negative_tie_count = quality.tie_counts(paired, margin_ratio=TIE_MARGIN_RATIO)
    counts = flips.negative_count, flips.positive_count, flips.example_count
    margin = limits["A2"].limit if "A2" in limits else _MARGIN
    slices, bound_ratio = _slices(paired, limits), _bound_ratio(limits)
    return Validation(
        name=name,
        profile=profile,
        guardrails_sha256=guardrails_sha256,
        split_sha256=answered.split_sha256,
        seed=seed,
        identity=answered.identity,
        example_count=len(paired),
        baseline_accuracy_ratio=quality.accuracy_ratio(paired.labels, paired.baseline),
        candidate_accuracy_ratio=quality.accuracy_ratio(paired.labels, paired.candidate),
        accuracy_change_ratio=Interval(flips.change_ratio, quality.tango_lower(*counts), None, quality.ONE_SIDED_LEVEL),
        negative_flip_count=flips.negative_count,
        positive_flip_count=flips.positive_count,
        changed_label_count=flips.changed_count,
        tie_count=tie_count,
        negative_tie_count=negative_tie_count,
        relative_negative_flip_ratio=quality.relative_negative_flip_ratio(
            flips, baseline_right_count=right_before_count
        ),
        mcnemar_p=quality.mcnemar_p(flips),
        needed_example_count=quality.examples_needed(max(flips.flips_ratio, 1 / len(paired)), margin),
        non_finite_count=non_finite_count(paired.candidate),
        worst_sum_error_ratio=sum_error_ratio(paired.candidate),
        cut_ratio=answered.cut_ratio,
        long_ratio=answered.long_ratio,
        distances=distances(paired.baseline, paired.candidate),
        slices=slices,
        classes=class_results(paired, answered.labels, bound_ratio=bound_ratio),
        gaps=gap_results(paired, _groups(paired), seed=seed),
        probes=() if answered.probes is None else probe_results(answered.probes),
        invariance=answered.invariance,
        overlaps=answered.overlaps,
        churn=answered.churn,
        absent_suites=answered.absent_suites,
        notes=answered.notes,
        gates=(),
        verdict="INCONCLUSIVE",
        **_confidence(paired, seed=seed),
    )


def _confidence(paired: Paired, *, seed: int) -> dict[str, Any]:
    """Describe both models' confidence; nothing is said of it where an answer is no number, which has its own gate."""
    described: dict[str, Confidence | None] = {}
    for arm in ("baseline", "candidate"):
        answers: NDArray[np.float32] = getattr(paired, arm)
        is_finite = bool(np.isfinite(answers).all())
        described[arm] = describe_confidence(paired.labels, answers) if is_finite else None
    changes = () if None in described.values() else _changes(paired, seed)
    return {f"{arm}_confidence": found for arm, found in described.items()} | {"differences": changes}


def _changes(paired: Paired, seed: int) -> Sequence[Any]:
    return confidence_changes(paired.labels, paired.baseline, paired.candidate, seed=seed)


def _slices(paired: Paired, limits: Mapping[str, Limit]) -> tuple[SliceResult, ...]:
    ties = None
    if "A3-negative" in limits and limits["A3-negative"].has_free_ties:
        ties = quality.margins(paired.baseline) < TIE_MARGIN_RATIO
    # A column with one value is the whole split again.
    columns = {column: values for column, values in paired.slices.items() if len(set(values)) > 1}
    judged = judge_slices(paired, cut(columns), bound_ratio=_bound_ratio(limits), ignored=ties)
    return judged + judge_exploratory(paired, propose_slices(paired, columns))


def _bound_ratio(limits: Mapping[str, Limit]) -> float:
    return limits["A7-bound"].limit if "A7-bound" in limits else _SLICE_BOUND_RATIO


def _groups(paired: Paired) -> dict[str, tuple[str, ...]]:
    return {column: values for column, values in paired.slices.items() if column not in _NO_GROUPS}
