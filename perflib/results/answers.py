"""
Whether a candidate is still right, and for whom: what was asked of both models, what changed, what each gate says.

A change is the candidate's number minus the baseline's. Bounds are one-sided 95 % unless a docstring says otherwise.
"""

import dataclasses
from typing import ClassVar, Literal

from perflib.records import Record
from perflib.results.speed import Interval

GateVerdict = Literal["PASS", "WARN", "FAIL", "INCONCLUSIVE"]


@dataclasses.dataclass(frozen=True)
class Distances:
    """
    How far apart the two models' answers are, whoever is right.

    Loyalty as Xu et al. (2021), divergence as Dutta et al. (2024): KL of the candidate from the baseline, natural log.
    ``cosine_ratio`` and ``sqnr_db`` compare all centred log-probabilities at once: logits, up to what softmax drops;
    ``sqnr_db`` is None where the two are equal.
    """

    label_loyalty_ratio: float
    probability_loyalty_ratio: float
    kl_mean_nat: float
    kl_median_nat: float
    kl_p99_nat: float
    kl_p999_nat: float
    kl_max_nat: float
    cosine_ratio: float
    sqnr_db: float | None


@dataclasses.dataclass(frozen=True)
class ReliabilityBin:
    """The examples whose confidence lies from ``low_ratio`` up to ``high_ratio``; both means are None without any."""

    low_ratio: float
    high_ratio: float
    example_count: int
    confidence_ratio: float | None
    accuracy_ratio: float | None


@dataclasses.dataclass(frozen=True)
class Confidence:
    """
    Whether one model's confidence can be believed.

    ECE is the mean over examples of |accuracy - confidence| of their bin: 15 of equal width, and 15 of equal mass.
    ``mce_ratio`` is the largest of the equal-width bins; the Brier score sums over all classes.
    """

    ece_ratio: float
    ece_mass_ratio: float
    mce_ratio: float
    brier_score: float
    nll_nat: float
    bins: tuple[ReliabilityBin, ...]


@dataclasses.dataclass(frozen=True)
class Change:
    """A change with its one-sided bounds, each at ``level_ratio`` where nothing else is said."""

    name: str
    estimate: float
    low: float
    high: float
    level_ratio: float


@dataclasses.dataclass(frozen=True)
class SliceResult:
    """
    Accuracy of both models on one part of the test split.

    The baseline's accuracy has a 95 % Wilson interval, the change a one-sided 95 % lower bound of Tango.
    ``holm_low_ratio`` and ``holm_high_ratio`` are bounds at the level that pays for all gated slices together.
    A slice that is not gated is too small to judge, or exploratory: found by a search that looked at the flips.
    """

    column: str
    value: str
    example_count: int
    baseline_accuracy_ratio: float
    baseline_low_ratio: float
    baseline_high_ratio: float
    candidate_accuracy_ratio: float
    change_ratio: float
    change_low_ratio: float
    negative_flip_count: int = 0
    positive_flip_count: int = 0
    holm_low_ratio: float | None = None
    holm_high_ratio: float | None = None
    is_gated: bool = False
    is_exploratory: bool = False


@dataclasses.dataclass(frozen=True)
class ClassResult:
    """
    One class: recall among its ``example_count`` examples, and how often it is the answer among all.

    Bounds of recall are Holm's over the gated classes, those of the share pay for all classes and both directions.
    ``is_gated`` as for slices.
    """

    label: str
    example_count: int
    recall_change: Change
    rate_change: Change
    is_gated: bool


@dataclasses.dataclass(frozen=True)
class GapResult:
    """
    Whether groups have drifted apart: by how much the gap in accuracy between best and worst value of a column grew.

    ``odds_increase`` is the same for the equalised-odds difference, None where there are not two classes.
    Bounds are from a paired bootstrap over examples.
    """

    column: str
    values: tuple[str, ...]
    gap_increase: Change
    odds_increase: Change | None


@dataclasses.dataclass(frozen=True)
class ProbeResult:
    """
    One kind of probe: how often each model fails it, of ``probe_count``.

    ``suite`` is ``perturbation`` (``kind`` names the change, failing is another label), ``counterfactual`` (``kind``
    names the group that is swapped, failing is another label) or ``behaviour`` (``kind`` names the capability).
    ``increase`` is the candidate's share minus the baseline's; its lower bound is at ``level_ratio``, the Holm level of
    its suite, its upper bound at 95 %.
    ``token_gap_change`` and the mean gaps exist for counterfactual pairs: |p - p'| averaged, and p - p' averaged.
    """

    suite: Literal["perturbation", "counterfactual", "behaviour"]
    kind: str
    version: int
    probe_count: int
    baseline_fail_count: int
    candidate_fail_count: int
    increase: Change
    is_gated: bool
    token_gap_change_ratio: float | None = None
    baseline_mean_gap_ratio: float | None = None
    candidate_mean_gap_ratio: float | None = None


@dataclasses.dataclass(frozen=True)
class Invariance:
    """The candidate asked again in another way: labels that changed, and the largest change of a probability."""

    what: str
    example_count: int
    changed_label_count: int
    max_difference_ratio: float


@dataclasses.dataclass(frozen=True)
class Overlap:
    """Texts of one other split that also stand in the test split, exactly (normalised) or nearly; some of the near."""

    split: str
    text_count: int
    exact_count: int
    near_count: int
    near_texts: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Identity:
    """
    Which model, inputs and machine the answers belong to; ``timed_*`` what was benchmarked, None where nothing was.

    ``built_sha256`` is the candidate's digest as its build recorded it, None where there is no such record.
    """

    baseline_sha256: str
    candidate_sha256: str
    built_sha256: str | None
    timed_baseline_sha256: str | None
    timed_candidate_sha256: str | None
    baseline_inputs_sha256: str
    candidate_inputs_sha256: str
    timed_inputs_sha256: str | None
    hardware_class: str
    timed_hardware_class: str | None
    isa_flags: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class SliceChurn:
    """How many answers of one part of the test split an honest re-training changes between right and wrong."""

    column: str
    value: str
    example_count: int
    flip_count: int


@dataclasses.dataclass(frozen=True)
class Churn(Record):
    """
    How many answers an honest re-training changes: the same recipe with another seed, against the baseline.

    What is allowed to a candidate that was trained again is this much, plus the margin.
    """

    schema: ClassVar[str] = "perflib/churn/2"

    workload: str
    baseline_sha256: str
    retrained_sha256: str
    split_sha256: str
    example_count: int
    negative_flip_ratio: float
    flips_ratio: float
    distances: Distances
    worst_perturbation_increase_ratio: float | None
    slices: tuple[SliceChurn, ...]


@dataclasses.dataclass(frozen=True)
class Gate:
    """
    One guardrail: the number it looked at, its bound, its limit, where that comes from, and what follows.

    ``low`` and ``high`` are bounds of ``measured``, None where there is none on that side; ``limit`` includes what a
    re-training is allowed. ``waiver`` says who let it pass, why and until when; the verdict stays what it was.
    """

    id: str
    name: str
    verdict: GateVerdict
    measured: float | None
    low: float | None
    high: float | None
    limit: float
    warn_limit: float | None
    sentence: str
    source: str
    waiver: str | None = None

    @property
    def counts_as(self) -> GateVerdict:
        """The verdict with which it counts: a waived one warns."""
        return "WARN" if self.waiver and self.verdict in ("FAIL", "INCONCLUSIVE") else self.verdict


@dataclasses.dataclass(frozen=True)
class Validation(Record):
    """
    Whether a candidate is still right, on the whole test split, example by example.

    ``accuracy_change_ratio`` has the one-sided 95 % lower bound of Tango in ``low`` and no upper bound.
    ``tie_count`` counts the flips where the baseline had less than a thousandth between its two best classes,
    ``negative_tie_count`` those of them that were right. ``relative_negative_flip_ratio`` is 1 if errors were
    independent (Yan et al., 2021). ``cut_ratio`` is the share of inputs that the candidate is given shorter than the
    baseline, ``long_ratio`` the share that reaches the greatest length. ``absent_suites`` are the probes that cannot be
    made of this workload's inputs, ``notes`` say that and what else a reader should know.
    """

    schema: ClassVar[str] = "perflib/validation/3"

    name: str
    profile: str
    guardrails_sha256: str
    split_sha256: str
    seed: int
    identity: Identity
    example_count: int
    baseline_accuracy_ratio: float
    candidate_accuracy_ratio: float
    accuracy_change_ratio: Interval
    negative_flip_count: int
    positive_flip_count: int
    changed_label_count: int
    tie_count: int
    negative_tie_count: int
    relative_negative_flip_ratio: float | None
    mcnemar_p: float
    needed_example_count: int
    non_finite_count: int
    worst_sum_error_ratio: float
    cut_ratio: float
    long_ratio: float | None
    distances: Distances | None
    baseline_confidence: Confidence | None
    candidate_confidence: Confidence | None
    differences: tuple[Change, ...]
    slices: tuple[SliceResult, ...]
    classes: tuple[ClassResult, ...]
    gaps: tuple[GapResult, ...]
    probes: tuple[ProbeResult, ...]
    invariance: tuple[Invariance, ...]
    overlaps: tuple[Overlap, ...]
    churn: Churn | None
    absent_suites: tuple[str, ...]
    notes: tuple[str, ...]
    gates: tuple[Gate, ...]
    verdict: GateVerdict

    def of_suite(self, suite: str) -> tuple[ProbeResult, ...]:
        """Return the probes of one suite."""
        return tuple(one for one in self.probes if one.suite == suite)
