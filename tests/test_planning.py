"""Planning: how many lives an effect needs, what a pilot says of the rest, and that it agrees with simulation."""

import math

import numpy as np
import pytest

from perflib.benchmarking import decision, planning


def test_the_robust_sd_is_that_of_normal_noise_and_shrugs_off_outliers() -> None:
    """On normal values it estimates their standard deviation, and a tenth of wild ones hardly moves it."""
    values = np.random.default_rng(0).normal(0.3, 0.02, 4000)
    wild = np.concatenate([values, np.full(400, 50.0)])

    assert planning.robust_sd(values.tolist()) == pytest.approx(0.02, rel=0.05)
    assert planning.robust_sd(wild.tolist()) == pytest.approx(0.02, rel=0.2)
    assert planning.robust_sd([0.1] * 5) == 0.0


def test_the_lives_needed_follow_the_formula_with_a_floor() -> None:
    """By hand: 2 (0.04 / ln(1.05 / 1.005))^2 (ln 100 + 2.5) = 11.98; a plain effect needs the least lives."""
    assert planning.lives_needed(math.log(1.05 / 1.005), sd_ratio=0.04, alpha=0.01) == 12
    assert planning.lives_needed(math.log(2.0), sd_ratio=0.04, alpha=0.01) == 8
    assert planning.lives_needed(math.log(1.1), sd_ratio=0.0, alpha=0.05) == 5


@pytest.mark.parametrize("distance_log", [0.0, -0.1, 1e-9])
def test_an_effect_out_of_reach_needs_more_than_any_number(distance_log: float) -> None:
    """Nothing, less than nothing and next to nothing beyond the tolerance is never found."""
    assert planning.lives_needed(distance_log, sd_ratio=0.02, alpha=0.01) is None


@pytest.mark.parametrize(("effect", "sd_ratio"), [(0.05, 0.02), (0.05, 0.04), (0.03, 0.02)])
def test_the_plan_agrees_with_simulation(effect: float, sd_ratio: float) -> None:
    """The median number of lives at which normal noise is decided is within a third of the formula."""
    generator = np.random.default_rng(1)
    lives = math.log1p(effect) + sd_ratio * generator.standard_normal((400, 80))
    crossed = decision.evidence_path(lives, math.log1p(0.005)) >= math.log(100)
    median = float(np.median(np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, 81)))
    needed = planning.lives_needed(math.log1p(effect) - math.log1p(0.005), sd_ratio=sd_ratio, alpha=0.01)

    assert needed == pytest.approx(median, rel=0.34)


def test_a_quiet_pilot_needs_the_fewest_lives() -> None:
    """Eight equal lives have no noise, so the least number is enough and nothing is hopeless."""
    found = planning.plan([0.0] * 8, affordable_lives_count=8, alpha=0.01, tolerance=0.005, mde=0.03)

    assert (found.sd_ratio, found.needed_lives_count, found.is_hopeless) == (0.0, 8, False)


def test_a_noisy_pilot_of_few_lives_is_hopeless() -> None:
    """Lives that differ by half and average to nothing cannot be decided by the few that are left."""
    pilot = [0.6, -0.5, 0.4, -0.6, 0.5, -0.4, 0.3, -0.3]
    found = planning.plan(pilot, affordable_lives_count=12, alpha=0.05, tolerance=0.005, mde=0.03)

    assert found.sd_ratio == pytest.approx(1.4826 * 0.45)
    assert found.needed_lives_count is not None
    assert found.needed_lives_count > 12
    assert found.is_hopeless


def test_a_large_effect_is_not_hopeless_in_the_same_noise() -> None:
    """What counts is the distance: threefold slowness shows through noise of half."""
    pilot = [1.1 + noise for noise in (0.6, -0.5, 0.4, -0.6, 0.5, -0.4, 0.3, -0.3)]
    found = planning.plan(pilot, affordable_lives_count=12, alpha=0.05, tolerance=0.005, mde=0.03)

    assert not found.is_hopeless


@pytest.mark.parametrize("direction", [1, -1])
def test_the_most_promising_verdict_is_what_is_planned_for(direction: int) -> None:
    """Slower and faster are sized alike, up to the PASS that only the faster one also reaches."""
    pilot = [direction * 0.2 + noise for noise in (0.06, -0.05, 0.04, -0.06, 0.05, -0.04, 0.03, -0.03)]
    found = planning.plan(pilot, affordable_lives_count=60, alpha=0.01, tolerance=0.005, mde=0.03)

    assert found.needed_lives_count == 8


def test_a_pilot_without_any_counted_life_is_hopeless() -> None:
    """Where every unit was dropped there is no noise to size anything by, and that is no reason to fail."""
    found = planning.plan([], affordable_lives_count=20, alpha=0.05, tolerance=0.005, mde=0.03)

    assert found.needed_lives_count is None
    assert found.is_hopeless


def test_the_visible_effect_is_what_so_many_lives_need() -> None:
    """Asking back how many lives it needs gives the number again; more lives or less noise show smaller ones."""
    for lives_count in (20, 30, 60):
        visible = planning.visible_effect(sd_ratio=0.03, lives_count=lives_count, alpha=0.01, tolerance=0.005)
        distance_log = math.log1p(visible) - math.log1p(0.005)

        assert planning.lives_needed(distance_log - 1e-9, sd_ratio=0.03, alpha=0.01) in (lives_count, lives_count + 1)

    shown = [planning.visible_effect(sd_ratio=0.03, lives_count=n, alpha=0.01, tolerance=0.005) for n in (8, 20, 60)]
    assert shown == sorted(shown, reverse=True)
    assert planning.visible_effect(sd_ratio=0.0, lives_count=8, alpha=0.01, tolerance=0.005) == pytest.approx(0.005)


def test_too_few_lives_show_nothing() -> None:
    """Below the least lives no effect is visible, however large."""
    assert planning.visible_effect(sd_ratio=0.0, lives_count=7, alpha=0.01, tolerance=0.005) == math.inf


def test_the_usual_effects_need_fewer_lives_the_larger_they_are() -> None:
    """Numbers fall from the smallest effect to the largest, down to the least lives; what none can show is left out."""
    found = planning.visible_effects(sd_ratio=0.05, alpha=0.01, tolerance=0.005)

    assert list(found) == [0.01, 0.02, 0.03, 0.05, 0.10, 0.20, 0.50]
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert found[0.50] == 8
    assert 0.01 not in planning.visible_effects(sd_ratio=0.05, alpha=0.01, tolerance=0.01)
