"""Quarantine: four rules with exact borders, and the way in and out."""

import dataclasses

import pytest

from perflib.errors import ParameterError
from perflib.regression.quarantine import judge_machine, level_evidence, noise_words
from perflib.results.regression import Canary, Quarantine

LEVELS = {"cpu": [0.010, 0.009, 0.010, 0.011, 0.010], "memory": [0.020] * 5}
SDS = {"cpu": [0.01, 0.02, 0.01, 0.005, 0.01], "memory": [0.03] * 5}
CLEAN = Canary(
    name="cpu",
    hardware_class="fake",
    level_sec=0.010,
    sd_ratio=0.01,
    evidence=1.0,
    unit_count=8,
    throttle_count=0,
    steal_ratio=0.0,
    unit_levels_sec=(0.010,) * 8,
)


def judge(*canaries: Canary, past_count: int = 5, was: bool = False, last: tuple[bool, ...] = ()) -> Quarantine:
    """Judge canaries against the first so many past ones."""
    return judge_machine(
        canaries,
        past={name: levels[:past_count] for name, levels in LEVELS.items()},
        past_sd={name: sds[:past_count] for name, sds in SDS.items()},
        was_quarantined=was,
        last_clean=last,
    )


def changed(**fields: object) -> Canary:
    """Return a clean canary with something else about it."""
    return dataclasses.replace(CLEAN, **fields)  # type: ignore[arg-type]


def at_level(ratio: float) -> Canary:
    """Return a canary whose units all take so many times as long as is usual."""
    return changed(level_sec=0.010 * ratio, unit_levels_sec=(0.010 * ratio,) * 8)


def test_a_clean_machine_may_speak() -> None:
    """Nothing is said against it."""
    assert judge(CLEAN) == Quarantine(is_quarantined=False, reasons=(), clean_count=1)


@pytest.mark.parametrize(
    ("canary", "reasons"),
    [
        (changed(sd_ratio=0.03), ()),
        (changed(sd_ratio=0.0301), ("canary cpu: it varies by 3.01 % where 1.00 % is usual",)),
        (at_level(1.055), ()),
        (at_level(1.06), ("canary cpu: it takes 10.6 ms where 10.0 ms is usual (+6%)",)),
        (at_level(1 / 1.055), ()),
        (at_level(0.94), ("canary cpu: it takes 9.40 ms where 10.0 ms is usual (-6%)",)),
        (changed(throttle_count=1), ("canary cpu: the machine held its clocks down (1 events)",)),
        (changed(throttle_count=None), ()),
        (changed(evidence=99.9), ()),
        (changed(evidence=100.0), ("canary cpu: two equal arms differ (E = 100)",)),
    ],
)
def test_each_rule_has_its_border(canary: Canary, reasons: tuple[str, ...]) -> None:
    """Just below it a machine is clean, just above it is in quarantine."""
    found = judge(canary)

    assert found.reasons == reasons
    assert found.is_quarantined == bool(reasons)
    assert found.clean_count == (0 if reasons else 1)


def test_a_class_that_is_not_known_yet_says_nothing_about_level_and_noise() -> None:
    """With four past canaries two rules are silent; heat and unequal arms need no past."""
    odd = dataclasses.replace(at_level(2.0), sd_ratio=0.5)

    assert len(judge(odd).reasons) == 2
    assert judge(odd, past_count=4).reasons == ()
    assert len(judge(dataclasses.replace(odd, throttle_count=1, evidence=120.0), past_count=0).reasons) == 2


def test_a_canary_without_any_past_is_judged_by_the_other_rules() -> None:
    """A new canary in an old class."""
    assert judge(dataclasses.replace(at_level(2.0), name="gpu-copy")).reasons == ()


def test_every_canary_is_held_against_its_own_past() -> None:
    """A reason names the canary that gives it."""
    slow = dataclasses.replace(at_level(2.2), name="memory")

    assert judge(CLEAN, slow).reasons == ("canary memory: it takes 22.0 ms where 20.0 ms is usual (+10%)",)


def test_a_level_that_some_units_do_not_share_is_no_evidence() -> None:
    """A median that is far off is not enough: units on both sides of the limit are noise."""
    torn = changed(level_sec=0.0108, unit_levels_sec=(0.0112, 0.0102) * 4)

    assert judge(torn).reasons == ()
    assert level_evidence([1.12, 1.02] * 4, class_level_sec=1.0) < 1


def test_a_machine_is_released_after_three_clean_canaries_in_a_row() -> None:
    """A relapse starts the count anew."""
    bad, states, clean = changed(throttle_count=3), list[bool](), list[bool]()
    was = False
    for canary in (CLEAN, bad, CLEAN, CLEAN, bad, CLEAN, CLEAN, CLEAN, CLEAN):
        found = judge(canary, was=was, last=tuple(clean))
        was = found.is_quarantined
        states.append(was)
        clean.append(not found.reasons)

    assert states == [False, True, True, True, True, True, True, False, False]


def test_a_machine_that_waits_for_its_release_has_no_reason_today() -> None:
    """The count says how far it is."""
    found = judge(CLEAN, was=True, last=(True, False, True))

    assert found == Quarantine(is_quarantined=True, reasons=(), clean_count=2)


def test_without_a_canary_nothing_can_be_said() -> None:
    """Silence is no clean machine."""
    with pytest.raises(ParameterError, match="there are none"):
        judge()


@pytest.mark.parametrize(
    ("sd_ratio", "words"),
    [
        (0.0, "this machine can see 1 % in 8 pairs"),
        (0.024, "this machine can see 3 % in 14 pairs"),
        (0.6, "this machine can see no usual effect in 30 pairs"),
    ],
)
def test_the_noise_floor_is_said_in_what_can_be_seen(sd_ratio: float, words: str) -> None:
    """The smallest usual effect that patience allows."""
    assert noise_words(sd_ratio) == words
