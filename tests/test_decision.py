"""The decision: its golden values, its order, and its promise about false alarms whatever the noise."""

import itertools
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_arms import FakeHost
from scipy import stats

from perflib.benchmarking import decision
from perflib.benchmarking.lives import Pair, live
from perflib.benchmarking.scenarios import get_scenarios

NOWHERE = Pair(Path("a"), Path("b"), Path("inputs.npz"))
SINGLE = get_scenarios(["single"])


class FixedCoin(random.Random):
    """A coin with one side."""

    def choice(self, seq: Any) -> Any:
        """Fall on the first side."""
        return seq[0]


def crossing(value: float, alpha: float = 0.01) -> int | None:
    """Return the first life at which equal values are decided."""
    decided = (n for n in range(1, 61) if decision.decide([value] * n, alpha=alpha) != "INCONCLUSIVE")
    return next(decided, None)


@pytest.mark.parametrize(("ratio", "lives_count"), [(1.03, 8), (1.20, 7)])
def test_the_golden_values_hold(ratio: float, lives_count: int) -> None:
    """Equal lives at 3 % cross at the eighth, at 20 % at the seventh, in both directions."""
    for sign, verdict in ((1, "REGRESSION"), (-1, "IMPROVEMENT")):
        value = sign * math.log(ratio)

        assert crossing(value) == lives_count
        assert decision.decide([value] * lives_count, alpha=0.01) == verdict


def test_evidence_equals_the_product_formula() -> None:
    """The stable form is the mean over rates of the product of 1 + tanh, written plainly."""
    values, theta = [0.01, -0.002, 0.03], 0.004
    plain = np.mean([math.prod(1 + math.tanh(rate * (d - theta)) for d in values) for rate in decision.RATES])

    assert decision.log_evidence(values, theta) == pytest.approx(math.log(plain))


def test_evidence_is_a_fair_game_against_our_own_coins() -> None:
    """Over all signs of any sizes its mean is exactly one, and it starts at one."""
    sizes = [0.5, 0.001, 0.02, 3.0, 0.07]
    games = [
        math.exp(decision.log_evidence([size * sign for size, sign in zip(sizes, signs, strict=True)]))
        for signs in itertools.product((1, -1), repeat=len(sizes))
    ]

    assert decision.log_evidence([]) == pytest.approx(0)
    assert np.mean(games) == pytest.approx(1)


def test_evidence_survives_absurd_values() -> None:
    """A ratio of e^1000 neither overflows nor gives more than a factor of two a life."""
    assert decision.log_evidence([1000.0] * 3) == pytest.approx(3 * math.log(2))
    assert decision.log_evidence([-1000.0] * 3) < -1000


def test_a_regression_goes_before_a_pass() -> None:
    """Two per cent slower is above the tolerance and below the mde: both are true, and we fail closed."""
    values = [math.log(1.02)] * 60
    bar = math.log(1 / 0.01)

    assert decision.log_evidence([-value for value in values], -math.log1p(0.03)) >= bar
    assert decision.decide(values, alpha=0.01) == "REGRESSION"


def test_equal_arms_pass_and_few_lives_decide_nothing() -> None:
    """Zeros rule out a slowdown of 3 %; below the fewest lives even a hundredfold change is undecided."""
    assert decision.decide([0.0] * 12, alpha=0.05) == "PASS"
    assert decision.decide([], alpha=0.05) == "INCONCLUSIVE"
    assert decision.decide([math.log(100)] * 4, alpha=0.05) == "INCONCLUSIVE"


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.001])
def test_the_fewest_lives_are_the_first_that_can_decide(alpha: float) -> None:
    """One life fewer never decides, so many lives of a huge effect do."""
    fewest = decision.fewest_lives(alpha)

    assert crossing(math.log(100), alpha) == fewest


def test_bounds_are_none_until_both_exist() -> None:
    """Half an interval would mislead."""
    for count in range(7):
        low, high = decision.log_bounds([math.log(2)] * count, alpha=0.05)

        assert (low is None) == (high is None) == (count < 5)


def test_the_interval_of_a_speedup_is_turned_round() -> None:
    """A candidate of half the time is 2×, with bounds in order on both sides and the level in the record."""
    interval = decision.speedup_interval(
        [-math.log(2) + jitter for jitter in (-0.02, 0, 0.01, 0.02, -0.01, 0)], alpha=0.05
    )

    assert interval.estimate == pytest.approx(2, rel=0.01)
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low < 2 < interval.high
    assert interval.level_ratio == 0.9


def test_the_bounds_are_where_the_test_turns() -> None:
    """Just inside a bound is kept, just outside is rejected."""
    values = [0.1, 0.12, 0.09, 0.11, 0.1, 0.13, 0.08]
    low, high = decision.log_bounds(values, alpha=0.05)
    bar = math.log(20)

    assert low is not None
    assert high is not None
    assert decision.log_evidence(values, low - 1e-5) >= bar > decision.log_evidence(values, low + 1e-5)
    assert decision.log_evidence([-value for value in values], -high - 1e-5) >= bar


def test_the_reached_mde_is_the_smallest_that_would_have_passed() -> None:
    """A little above it PASS holds, a little below it does not; too few lives reach none."""
    values = [0.02, -0.01, 0.0, 0.015, -0.02, 0.01, 0.005]
    reached = decision.reached_mde(values, alpha=0.05)

    assert reached is not None
    assert decision.decide(values, alpha=0.05, tolerance=0.5, mde=reached + 1e-4) == "PASS"
    assert decision.decide(values, alpha=0.05, tolerance=0.5, mde=reached - 1e-4) == "INCONCLUSIVE"
    assert decision.reached_mde(values[:4], alpha=0.05) is None


def rough_noise(generator: np.random.Generator) -> Callable[[], float]:
    """Return the log-noise of slots: autocorrelated, heavy-tailed, on a drift that speeds up."""
    count = 400
    steps = 0.01 * generator.standard_t(2, count) + np.where(generator.random(count) < 0.02, 0.5, 0.0)
    level, values = 0.0, []
    for time, step in enumerate(steps):
        level = 0.7 * level + step
        values.append(level + 1e-6 * time**2)
    stream = iter(values)
    return lambda: next(stream)


def simulate(count: int, *, lives_count: int, cost_log: float, seed: int, coins: random.Random) -> list[list[float]]:
    """Live ``count`` comparisons on noisy slots through the real timing code; process luck favours who starts first."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        lucks = iter(generator.normal(0, 0.02, 2 * lives_count) + np.tile([0.0, 0.03], lives_count))
        host = FakeHost(cost_log=cost_log, noise=rough_noise(generator), luck=lambda position, lucks=lucks: next(lucks))
        found.append(
            [
                live(NOWHERE, SINGLE, units_count=1, passes={"single": 1}, coins=coins, start_arm=host.start)
                .by_scenario["single"]
                .log_ratio
                for _ in range(lives_count)
            ]
        )
    return found


def ever_alarmed(lives: list[float], alpha: float) -> str | None:
    """Return the first verdict of a difference, looking after every life, at no tolerance: the sharp null."""
    for count in range(decision.fewest_lives(alpha), len(lives) + 1):
        verdict = decision.decide(lives[:count], alpha=alpha, tolerance=0.0, mde=10.0)
        if verdict in ("REGRESSION", "IMPROVEMENT"):
            return verdict
    return None


def test_false_alarms_keep_their_bound_on_noisy_slots() -> None:
    """2,000 comparisons of a model with itself, looked at after every life, alarm no more than alpha allows a side."""
    count, alpha = 2000, 0.05
    alarms = [
        ever_alarmed(lives, alpha)
        for lives in simulate(count, lives_count=10, cost_log=0.0, seed=1, coins=random.Random(1))
    ]
    allowed = stats.binom.ppf(0.999, count, alpha)

    assert alarms.count("REGRESSION") <= allowed
    assert alarms.count("IMPROVEMENT") <= allowed


def test_it_is_the_coins_that_keep_the_bound() -> None:
    """The same noise in a fixed order alarms far beyond alpha, so the simulation above could have failed."""
    alarms = [
        ever_alarmed(lives, 0.05) for lives in simulate(100, lives_count=10, cost_log=0.0, seed=1, coins=FixedCoin())
    ]

    assert len([alarm for alarm in alarms if alarm]) > stats.binom.ppf(1 - 1e-6, 100, 2 * 0.05)


def test_the_interval_covers_the_true_effect_as_often_as_it_says() -> None:
    """A true slowdown of 10 % lies in the 90 % interval in at least the binomial share of comparisons."""
    count, true_log = 300, math.log(1.1)
    covered = 0
    for lives in simulate(count, lives_count=8, cost_log=true_log, seed=2, coins=random.Random(2)):
        low, high = decision.log_bounds(lives, alpha=0.05)
        covered += low is not None and high is not None and low <= true_log <= high

    assert covered >= stats.binom.ppf(0.001, count, 0.90)
