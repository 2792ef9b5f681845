"""
What a decision rests on: prices, costs, the backlog, decisions, the way out to users and back, and the evidence pack.

Money is in the currency of the price book that was in force; every amount of money ends in ``_amount``.
"""

import dataclasses
from typing import ClassVar, Literal

from perflib.records import Record
from perflib.results.answers import GateVerdict
from perflib.results.runs import CandidateVerdict
from perflib.results.speed import Interval


@dataclasses.dataclass(frozen=True)
class Range:
    """What somebody expects of a number: in one case of ten it is below ``p10``, in one of ten above ``p90``."""

    p10: float
    p50: float
    p90: float


@dataclasses.dataclass(frozen=True)
class Price:
    """One price with where it comes from and of which day (ISO date) it is."""

    amount: float
    source: str
    date: str


@dataclasses.dataclass(frozen=True)
class PowerModel:
    """
    What the machine is assumed to draw and to cost the climate, each as low, middle and high assumption.

    ``full_watt`` and ``idle_watt`` are of the whole instance; ``grid_gram_per_kwh`` is location-based carbon intensity,
    ``embodied_gram`` what making the instance's share of a server emitted, over ``lifetime_years``. ``pue_ratio`` is
    what the building takes per watt of computing.
    """

    idle_watt: Range
    full_watt: Range
    grid_gram_per_kwh: Range
    embodied_gram: Range
    lifetime_years: float
    pue_ratio: float
    source: str
    date: str


@dataclasses.dataclass(frozen=True)
class PriceBook(Record):
    """
    `params/prices.yaml` as it was in force: prices, volumes, effort.

    While ``is_example`` is true nobody has said that the numbers are theirs: every figure made of them says so.
    ``effort_days`` is by stage of a recipe (``quantize``, ``prune`` …), with ``default`` for others; per item, a person
    may say otherwise in the backlog. ``peak_ratio`` is the busiest hour's traffic over the mean hour's.
    """

    schema: ClassVar[str] = "perflib/prices/1"

    is_example: bool
    currency: str
    instance: str
    instance_core_count: int
    on_demand_per_hour: Price
    reserved_per_hour: Price
    work_per_day: Price
    inferences_per_month: Range
    peak_ratio: float
    utilisation_ratio: float
    least_instance_count: int
    horizon_months: int
    discount_per_year_ratio: float
    effort_days: dict[str, Range]
    power: PowerModel
    file_sha256: str


# --- FinOps -------------------------------------------------------------------------------------------------------

Pricing = Literal["on-demand", "reserved"]
Realisable = Literal["yes", "partly", "no"]


@dataclasses.dataclass(frozen=True)
class UnitCost:
    """
    What 1,000 inferences cost at one utilisation and one way of paying.

    ``per_1000_amount`` has bounds where the throughput has them: the low cost belongs to the high throughput.
    """

    utilisation_ratio: float
    pricing: Pricing
    per_1000_amount: Interval


@dataclasses.dataclass(frozen=True)
class ArmCost:
    """
    The cost of one arm: the baseline, or a candidate.

    ``examples_per_sec`` is measured (baseline) or the baseline's times the paired ratio with its bounds (candidate).
    ``instance_count`` is how many instances the peak hour needs at the book's utilisation, the least count included;
    ``month_amount`` what so many on-demand instances cost for a month of 730 hours. ``saving_month_amount``, against
    the baseline, is what is not paid any more (whole instances), ``elastic_saving_month_amount`` what would be saved
    if capacity could be given back to the second, at the lower bound of the ratio. All three are None for the baseline.
    """

    name: str
    examples_per_sec: Interval
    unit_costs: tuple[UnitCost, ...]
    instance_count: int
    month_amount: float
    saving_month_amount: float | None
    elastic_saving_month_amount: float | None
    realisable: Realisable | None
    realisable_sentence: str


@dataclasses.dataclass(frozen=True)
class Finops(Record):
    """Unit economics of a run: the baseline first, then every candidate that was timed in throughput."""

    schema: ClassVar[str] = "perflib/finops/1"

    run_id: str
    currency: str
    is_example: bool
    prices_sha256: str
    machine: str
    scenario: str
    arms: tuple[ArmCost, ...]
    notes: tuple[str, ...]

    def arm(self, name: str) -> ArmCost | None:
        """Return one arm's cost; None where it was not timed in throughput."""
        return next((one for one in self.arms if one.name == name), None)


@dataclasses.dataclass(frozen=True)
class ArmCarbon:
    """
    SCI of one arm per 1,000 inferences, in grams of CO2 equivalent, low, middle and high assumption.

    ``is_metered`` says whether the energy was read from a meter; else it is modelled from power and time.
    """

    name: str
    is_metered: bool
    energy_kwh: Range
    operational_gram: Range
    embodied_gram: Range
    score_gram: Range


@dataclasses.dataclass(frozen=True)
class Carbon(Record):
    """SCI = (E · I + M) per R, R = 1,000 inferences, with what is inside its boundary in words."""

    schema: ClassVar[str] = "perflib/carbon/1"

    run_id: str
    is_example: bool
    prices_sha256: str
    boundary: str
    method: str
    arms: tuple[ArmCarbon, ...]


# --- backlog ------------------------------------------------------------------------------------------------------

ItemKind = Literal["hypothesis", "candidate"]
ItemStatus = Literal["proposed", "validated", "accepted", "rejected", "shipped", "rolled_back"]
ITEM_STATUSES: tuple[ItemStatus, ...] = ("proposed", "validated", "accepted", "rejected", "shipped", "rolled_back")


@dataclasses.dataclass(frozen=True)
class Pointer:
    """One value in one file of the run: a path below the run folder, and a JSON pointer (RFC 6901) into it."""

    path: str
    pointer: str

    def __str__(self) -> str:
        """Return ``path#/pointer``, as the report's ``data-ev`` writes it."""
        return f"{self.path}#{self.pointer}"


@dataclasses.dataclass(frozen=True)
class Return:
    """
    What an item gives back over the horizon, from simulated draws of volume, effort and ratio.

    ROI is (saving - one-off) / one-off. ``payback_months`` is None where the one-off never comes back in that draw's
    quantile. ``npv_amount`` is discounted. ``chance_of_loss_ratio`` is the share of draws with ROI below 0.
    """

    horizon_months: int
    draw_count: int
    seed: int
    one_off_amount: Range
    saving_month_amount: Range
    roi_ratio: Range
    npv_amount: Range
    payback_months_p10: float | None
    payback_months_p50: float | None
    payback_months_p90: float | None
    chance_of_loss_ratio: float


@dataclasses.dataclass(frozen=True)
class TornadoBar:
    """How ROI moves when one assumption alone goes from its P10 to its P90, the others at their P50."""

    assumption: str
    unit: str
    low_value: float
    high_value: float
    roi_at_low_ratio: float
    roi_at_high_ratio: float


@dataclasses.dataclass(frozen=True)
class Rice:
    """
    RICE = reach · impact · confidence / effort; a relative scale, not money.

    Reach in millions of inferences a month, impact in {0.25, 0.5, 1, 2, 3}, confidence in {0.5, 0.8, 1}, effort in
    person-months.
    """

    reach: float
    impact: float
    confidence: float
    effort_months: float
    score: float


@dataclasses.dataclass(frozen=True)
class BacklogItem:
    """
    One thing to do, done, or not to do, with what is known of it.

    ``kind`` is a hypothesis (of a finding, nothing measured) or a candidate that was built. ``verdict`` and
    ``accuracy_verdict`` are None for hypotheses. Ratios above 1 are faster, or smaller memory and size below 1.
    ``returns`` is None where no throughput ratio is known. ``is_eligible`` is the hard filter: only an approved
    candidate, or a hypothesis that nothing speaks against, is ranked by money; ``rank`` is None for the others.
    The ratios of a hypothesis are expectations: the prediction as the high end, none as the low, its root between.
    ``people_words`` and ``owner`` are what a person wrote into `params/backlog.yaml`.
    """

    id: str
    kind: ItemKind
    title: str
    technique: str
    status: ItemStatus
    hypothesis: str
    verdict: CandidateVerdict | None
    accuracy_verdict: GateVerdict | None
    reasons: tuple[str, ...]
    latency_ratio: Interval | None
    throughput_ratio: Interval | None
    size_ratio: float | None
    memory_ratio: Interval | None
    accuracy_change_ratio: Interval | None
    negative_flip_ratio: float | None
    worst_slice: str
    effort_days: Range
    risk: Literal["low", "medium", "high"]
    risk_sentence: str
    dependencies: tuple[str, ...]
    build_sec: float | None
    returns: Return | None
    tornado: tuple[TornadoBar, ...]
    rice: Rice | None
    realisable: Realisable | None
    is_eligible: bool
    rank: int | None
    owner: str
    people_words: str
    evidence: tuple[Pointer, ...]


@dataclasses.dataclass(frozen=True)
class Backlog(Record):
    """What to do next, what not, and what it would give; ranked by P10 of ROI among the eligible."""

    schema: ClassVar[str] = "perflib/backlog/1"

    run_id: str
    workload: str
    currency: str
    is_example: bool
    prices_sha256: str
    items: tuple[BacklogItem, ...]

    def item(self, name: str) -> BacklogItem | None:
        """Return the item with an id."""
        return next((one for one in self.items if one.id == name), None)


# --- decisions, risks, controls -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Cited:
    """A file that a decision rests on, with the digest that it had."""

    path: str
    sha256: str
    pointer: str


@dataclasses.dataclass(frozen=True)
class Decision(Record):
    """
    One decision about one candidate, as its MADR file's front matter says it.

    ``status`` is proposed until a person accepts it. ``options`` names at least two. ``supersedes`` is the id of the
    decision that it replaces.
    """

    schema: ClassVar[str] = "perflib/decision/1"

    id: str
    title: str
    status: Literal["proposed", "accepted", "rejected", "superseded"]
    date: str
    candidate: str
    candidate_sha256: str
    run_id: str
    backlog_id: str
    options: tuple[str, ...]
    chosen: str
    accuracy_verdict: GateVerdict | None
    waivers: tuple[str, ...]
    review_by: str
    supersedes: str | None
    evidence: tuple[Cited, ...]


Likelihood = Literal["rare", "possible", "likely"]
Impact = Literal["minor", "serious", "severe"]


@dataclasses.dataclass(frozen=True)
class Risk:
    """One thing that could go wrong: how it shows, what is done against it, and what remains."""

    id: str
    title: str
    cause: str
    effect: str
    likelihood: Likelihood
    impact: Impact
    treatment: str
    residual: str
    owner: str
    trigger: str
    candidates: tuple[str, ...]
    evidence: tuple[Pointer, ...]


@dataclasses.dataclass(frozen=True)
class RiskRegister(Record):
    """What could go wrong with the candidates of a run that may be shipped, and with what we say about them."""

    schema: ClassVar[str] = "perflib/risks/1"

    run_id: str
    risks: tuple[Risk, ...]


@dataclasses.dataclass(frozen=True)
class ControlRow:
    """
    Which part of the pack speaks to one control of a framework; ``reason`` where it is partly or not covered.

    "not covered" is what this pack could show and does not, "not applicable" what no pack of ours can.
    """

    framework: Literal["NIST AI RMF 1.0", "EU AI Act Annex IV"]
    control: str
    title: str
    status: Literal["covered", "partial", "not covered", "not applicable"]
    reason: str
    pointers: tuple[Pointer, ...]


@dataclasses.dataclass(frozen=True)
class Crosswalk(Record):
    """A voluntary mapping, no claim of conformity: where a reader who thinks in a framework finds things."""

    schema: ClassVar[str] = "perflib/crosswalk/1"

    disclaimer: str
    rows: tuple[ControlRow, ...]


# --- rollout ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class StageGate:
    """
    What a stage watches: the metric, what it must keep, over which window, and what missing data means.

    ``relative_to`` is "baseline" where the limit is a factor of the baseline's value in the same window. An ``abs<=``
    on ``answer_shift_ratio`` is how far the share of any one answer may move among requests that both have answered.
    """

    metric: str
    op: Literal["<=", ">=", "abs<="]
    limit: float
    relative_to: Literal["baseline", ""]
    window_sec: float
    breach_count: int
    on_missing: Literal["hold"] = "hold"


@dataclasses.dataclass(frozen=True)
class RolloutStage:
    """
    One step towards all traffic.

    ``mirror_ratio`` of it is also answered by the model that does not serve it, only to be compared; every gate must
    have seen ``least_request_count`` requests.
    """

    name: str
    traffic_ratio: float
    mirror_ratio: float
    least_sec: float
    least_request_count: int
    gates: tuple[StageGate, ...]


@dataclasses.dataclass(frozen=True)
class RolloutPlan(Record):
    """
    How a candidate goes to users and how it comes back.

    ``needs_isa`` are the processor features without which it stays where it is. ``rollback_sec`` is the time within
    which all traffic must be back at the baseline.
    """

    schema: ClassVar[str] = "perflib/rollout/1"

    run_id: str
    candidate: str
    candidate_sha256: str
    baseline_sha256: str
    preconditions: tuple[str, ...]
    owner: str
    approvers: tuple[str, ...]
    stages: tuple[RolloutStage, ...]
    triggers: tuple[StageGate, ...]
    rollback_action: str
    rollback_sec: float
    needs_isa: tuple[str, ...]
    expires: str


@dataclasses.dataclass(frozen=True)
class RehearsedFault:
    """
    One fault that was planted while traffic was live, and how the way back went.

    Times are seconds since the planting; None where it never happened. ``limit_sec`` is the windows that it takes to
    see the fault and the plan's time for the way back, both scaled. ``bad_answer_count`` is what users got wrong,
    late or not at all between planting and the end of the rollback, of ``request_count``.
    """

    fault: Literal["error rate", "labels", "latency", "none"]
    stage: str
    planted: str
    trigger: str
    seen_sec: float | None
    rolled_back_sec: float | None
    limit_sec: float
    request_count: int
    bad_answer_count: int
    is_as_planned: bool
    sentence: str


@dataclasses.dataclass(frozen=True)
class TrafficPoint:
    """One window of a rehearsal: what went where, and what came back."""

    at_sec: float
    fault: str
    stage: str
    candidate_ratio: float
    request_count: int
    error_ratio: float | None
    label_agreement_ratio: float | None
    p99_sec: float | None
    baseline_p99_sec: float | None


@dataclasses.dataclass(frozen=True)
class Rehearsal(Record):
    """The plan, tried on this machine with two real servers and windows scaled by ``scale_ratio``."""

    schema: ClassVar[str] = "perflib/rehearsal/1"

    run_id: str
    candidate: str
    candidate_sha256: str
    baseline_sha256: str
    rehearsed: str
    scale_ratio: float
    seed: int
    faults: tuple[RehearsedFault, ...]
    traffic: tuple[TrafficPoint, ...]
    is_passed: bool
    sentence: str


# --- evidence pack ------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ManifestEntry:
    """One file of a pack: path below the pack with ``/``, digest in lower-case hex, size, what it is."""

    path: str
    sha256: str
    size_bytes: int
    media_type: str
    role: str
    is_time_dependent: bool


@dataclasses.dataclass(frozen=True)
class Manifest(Record):
    """
    Every file of a pack but itself, the bundle and `keys/`, sorted by path.

    ``claimed`` names the candidates that the pack says are approved, ``promoted`` those that were promoted when it was
    built; their gates are asked by the verifier. ``built`` is RFC 3339 in UTC.
    """

    schema: ClassVar[str] = "perflib/manifest/1"

    run_id: str
    run_ulid: str
    built: str
    perflib_version: str
    claimed: tuple[str, ...]
    promoted: tuple[str, ...]
    files: tuple[ManifestEntry, ...]


@dataclasses.dataclass(frozen=True)
class PackProblem:
    """What a verifier found: its exit code, the rule (I1 to I12, signature, policy …), the file, and one sentence."""

    code: int
    rule: str
    path: str
    sentence: str


@dataclasses.dataclass(frozen=True)
class RuleResult:
    """One rule of the verifier: how many things it looked at, and whether they hold."""

    rule: str
    title: str
    checked_count: int
    is_kept: bool
    sentence: str


@dataclasses.dataclass(frozen=True)
class PackCheck(Record):
    """
    The verdict on a pack. ``exit_code`` is the smallest code among the problems that is not 0; 0 without any.

    ``signed_by`` are fingerprints of trusted keys whose signature is valid, by role.
    """

    schema: ClassVar[str] = "perflib/pack-check/1"

    exit_code: int
    run_id: str
    rules: tuple[RuleResult, ...]
    problems: tuple[PackProblem, ...]
    warnings: tuple[str, ...]
    signed_by: tuple[tuple[str, str], ...]
    wall_sec: float
