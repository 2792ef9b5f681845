"""The decision: its golden values, its order, and its promise about false alarms whatever the noise."""

import itertools
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from perflib.benchmarking import decision
from perflib.benchmarking.lives import Agreed, Pair, live
from perflib.benchmarking.scenarios import SlotPlan, get_scenarios
from tests.fake_arms import FakeHost, FakeWatch

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


@pytest.mark.parametrize(("ratio", "lives_count"), [(1.03, 8), (1.20, 7)])
def test_sixty_equal_lives_cross_where_the_specification_says(ratio: float, lives_count: int) -> None:
    """Of 60 equal lives the evidence for "slower" at 1 % is first reached at the life that the specification names."""
    path = decision.evidence_path([math.log(ratio)] * 60, math.log1p(0.005))

    assert int(np.flatnonzero(path >= math.log(100))[0]) + 1 == lives_count


def test_a_path_is_the_evidence_after_every_life() -> None:
    """Each entry equals the evidence of the lives up to there, for one comparison and for many at once."""
    paths = np.random.default_rng(3).normal(0.01, 0.05, (20, 15))
    for theta in (0.0, 0.005, -0.03):
        together = decision.evidence_path(paths, theta)
        prefixes = [[decision.log_evidence(lives[: count + 1], theta) for count in range(15)] for lives in paths]

        assert together.shape == (20, 15)
        np.testing.assert_allclose(together, prefixes, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(decision.evidence_path(paths[4], theta), prefixes[4], rtol=1e-12, atol=1e-12)


def test_a_path_of_no_lives_is_empty() -> None:
    """Nothing was lived, so there is nothing to look at and no evidence."""
    assert decision.evidence_path([]).shape == (0,)
    assert decision.log_evidence([]) == 0.0
    assert decision.first_verdict([], alpha=0.05) == "INCONCLUSIVE"


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_the_first_verdict_is_the_one_met_when_looking_after_every_life(alpha: float) -> None:
    """On hundreds of paths of all kinds it equals asking `decide` after each life and stopping at the first answer."""
    generator = np.random.default_rng(8)
    met = set()
    for _ in range(150):
        lives = (generator.choice([-0.06, -0.01, 0.0, 0.01, 0.018, 0.06]) + 0.02 * generator.standard_t(3, 20)).tolist()
        looks = (decision.decide(lives[: count + 1], alpha=alpha) for count in range(20))
        expected = next((word for word in looks if word != "INCONCLUSIVE"), "INCONCLUSIVE")

        assert decision.first_verdict(lives, alpha=alpha) == expected
        met.add(expected)

    assert met == {"IMPROVEMENT", "PASS", "REGRESSION", "INCONCLUSIVE"}


def test_a_verdict_once_reached_is_not_taken_back() -> None:
    """Lives that would speak against it come too late, though `decide` on all of them says something else."""
    lives = [0.1] * 8 + [-0.1] * 40

    assert decision.decide(lives, alpha=0.01) != "REGRESSION"
    assert decision.first_verdict(lives, alpha=0.01) == "REGRESSION"


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize(
    "sizes",
    [
        [0.03] * 10,
        [0.001 * 2**place for place in range(10)],
        [0.5, 0.0, 0.02, 3.0, 0.07, 0.001, 0.01, 0.0, 0.2, 0.04],
        [1000.0] * 10,
    ],
)
def test_no_more_than_alpha_of_all_tosses_ever_alarm(sizes: list[float], alpha: float) -> None:
    """Over all 1,024 signs of ten sizes, each equally likely for equal arms, the share that ever crosses is bounded."""
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=10)))
    ever = (decision.evidence_path(signs * sizes) >= math.log(1 / alpha)).any(axis=1)

    assert ever.mean() <= alpha


def test_with_huge_sizes_only_a_run_of_equal_signs_alarms() -> None:
    """Each life then doubles the evidence or ends it: at 5 % the share that alarms is exactly that of five pluses."""
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=10)))
    ever = (decision.evidence_path(signs * 1000.0) >= math.log(20)).any(axis=1)

    assert ever.mean() == 1 / 32


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


@pytest.mark.parametrize(("alpha", "lives_count"), [(0.05, 5), (0.01, 8)])
def test_the_least_lives_carry_a_plain_effect(alpha: float, lives_count: int) -> None:
    """Five lives at 5 % and eight at 1 % decide a change of 10 %, one life fewer does not."""
    assert decision.least_lives(alpha) == lives_count
    assert decision.decide([math.log(1.1)] * lives_count, alpha=alpha) == "REGRESSION"
    assert decision.decide([math.log(1.1)] * (lives_count - 1), alpha=alpha) == "INCONCLUSIVE"


def test_the_bounds_equal_a_search_on_a_fine_grid() -> None:
    """Every value of the tested shift is tried, and the bounds are the last ones that are rejected from each side."""
    generator = np.random.default_rng(5)
    step, grid = 1e-4, np.arange(-0.4, 0.5, 1e-4)
    for _ in range(5):
        values = generator.normal(0.05, 0.03, 12)
        low, high = decision.log_bounds(values.tolist(), alpha=0.05)
        above = decision.evidence_path(values - grid[:, None])[:, -1]
        below = decision.evidence_path(grid[:, None] - values)[:, -1]

        assert low == pytest.approx(grid[above >= math.log(20)].max(), abs=1.1 * step)
        assert high == pytest.approx(grid[below >= math.log(20)].min(), abs=1.1 * step)


def test_the_claims_that_stand_are_the_largest_set_that_supports_itself() -> None:
    """By brute force over all sets: each member's evidence is at least claims / (members x rate)."""
    generator = np.random.default_rng(6)
    sizes = set()
    for _ in range(200):
        logs = np.round(generator.normal(3.5, 2.0, generator.integers(1, 7)), 1).tolist()
        sets = [
            chosen
            for count in range(len(logs) + 1)
            for chosen in itertools.combinations(range(len(logs)), count)
            if all(logs[place] >= math.log(len(logs) / (count * 0.05)) for place in chosen)
        ]
        largest = max(sets, key=len)

        assert decision.discoveries(logs, rate=0.05) == largest
        sizes.add(len(largest))

    assert len(sizes) >= 4


def test_no_claims_and_weak_claims_stand_nowhere() -> None:
    """Without claims, or with evidence below the bar of every rank, nothing is found."""
    assert decision.discoveries([], rate=0.05) == ()
    assert decision.discoveries([0.0, 1.0, 2.0], rate=0.05) == ()
    assert decision.discoveries([math.log(20)], rate=0.05) == (0,)
    assert decision.discoveries([math.log(19.9)], rate=0.05) == ()


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
    count = 600
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
                live(
                    NOWHERE,
                    SINGLE,
                    units_count=1,
                    agreed=Agreed(plans={"single": SlotPlan(1)}),
                    coins=coins,
                    start_arm=host,
                    watch=FakeWatch(),
                )
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
    """400 comparisons of a model with itself, looked at after every life, alarm no more than alpha allows a side."""
    count, alpha = 400, 0.05
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
    count, true_log = 150, math.log(1.1)
    covered = 0
    for lives in simulate(count, lives_count=8, cost_log=true_log, seed=2, coins=random.Random(2)):
        low, high = decision.log_bounds(lives, alpha=0.05)
        covered += low is not None and high is not None and low <= true_log <= high

    assert covered >= stats.binom.ppf(0.001, count, 0.90)
