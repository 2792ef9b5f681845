"""How often a decision rule is wrong and how often it finds what is there: simulated for many rules, lived for ours."""

import dataclasses
from typing import ClassVar

from perflib.records import Record


@dataclasses.dataclass(frozen=True)
class RuleScore:
    """
    One rule on one kind of noise with one true effect, over many simulated comparisons of equal run time.

    ``effect_ratio`` is the slowdown put in, 0 for A/A. ``said_ratio`` is the share of paths in which the rule said
    "slower", or for A/A "different" in either direction (a false alarm), with its 95 % Wilson interval.
    ``median_lives_count`` is when, for a rule that may stop early; None for the others and where less than half stop.
    """

    rule: str
    noise: str
    effect_ratio: float
    said_ratio: float
    low_ratio: float
    high_ratio: float
    path_count: int
    median_lives_count: int | None


@dataclasses.dataclass(frozen=True)
class NoiseStudy(Record):
    """
    False alarms and power of our rule and its rivals at equal run time.

    ``run_slot_count`` is that time in slots, our process starts and warm-ups included; ``any_time`` holds our rule's
    false alarms over ``any_time_lives_count`` lives with a look after every one.
    """

    schema: ClassVar[str] = "perflib/noise-study/1"

    seed: int
    alpha_ratio: float
    run_slot_count: int
    lives_count: int
    any_time_lives_count: int
    scores: tuple[RuleScore, ...]
    any_time: tuple[RuleScore, ...]


@dataclasses.dataclass(frozen=True)
class CalibrationCell:
    """
    Real comparisons of one kind: what was planted, what was said, and after how many lives.

    ``kind`` is ``none`` (A/A), ``spin`` (idle work for a share of the measured time) or ``work`` (more real work).
    ``alarms`` names the comparisons of an A/A cell that said slower or faster; each is kept with its raw slots.
    """

    kind: str
    effect_ratio: float
    comparison_count: int
    regression_count: int
    improvement_count: int
    pass_count: int
    inconclusive_count: int
    median_lives_count: float
    sd_ratio: float
    alarms: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Calibration(Record):
    """What our own machinery said in real comparisons whose truth is known."""

    schema: ClassVar[str] = "perflib/calibration/1"

    hardware_class: str
    alpha_ratio: float
    tolerance_ratio: float
    mde_ratio: float
    max_lives_count: int
    cells: tuple[CalibrationCell, ...]
    wall_sec: float
