"""Families: Holm's method against the textbook, bounds that agree with it, and who is large enough to be judged."""

import functools
import itertools
import math

import numpy as np
import pytest
from scipy import stats

from perflib.validation.families import Discordant, holm_levels, large_enough
from perflib.validation.quality import tango_lower


def drawn_family(rng: np.random.Generator, member_count: int) -> list[Discordant]:
    """Return members with a few hundred examples, some of them harmed and some better."""
    family = []
    for _ in range(member_count):
        worse, better = rng.choice([1, 4, 10, 20, 30], 2)
        family.append(Discordant(int(rng.poisson(worse)), int(rng.poisson(better)), int(rng.integers(200, 900))))
    return family


def textbook_rejections(family: list[Discordant], alpha: float) -> list[bool]:
    """Return who is rejected by Holm's step-down on the p-values of McNemar's test that the candidate is worse."""
    p_values = []
    for one in family:
        discordant = one.worse_count + one.better_count
        score = (one.worse_count - one.better_count) / math.sqrt(discordant) if discordant else 0.0
        p_values.append(stats.norm.sf(score))
    rejected = [False] * len(family)
    for step, place in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[place] >= alpha / (len(family) - step):
            break
        rejected[place] = True
    return rejected


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_the_bounds_reject_whom_the_textbook_rejects(alpha: float) -> None:
    """In random families an upper bound lies below zero exactly where Holm's method on p-values shows harm."""
    rng, shown = np.random.default_rng(0), []
    for _ in range(60):
        family = drawn_family(rng, int(rng.integers(1, 9)))
        levels = holm_levels(family, alpha_ratio=alpha)
        found = [one.high_ratio(level) < 0 for one, level in zip(family, levels, strict=True)]

        assert found == textbook_rejections(family, alpha)
        shown.append(sum(found))

    assert {0, 1, 2, 3} <= set(shown)


def test_nobody_shown_means_that_all_pay_for_all() -> None:
    """Without clear harm every member's level is that of Bonferroni."""
    assert holm_levels([Discordant(3, 2, 500)] * 4) == (1 - 0.05 / 4,) * 4


def test_each_clear_harm_makes_the_next_cheaper() -> None:
    """Levels stand in the order of the members: the clearest pays for three, the next for two, the rest for one."""
    family = [Discordant(5, 5, 500), Discordant(40, 2, 500), Discordant(30, 2, 500)]

    assert holm_levels(family) == (0.95, 1 - 0.05 / 3, 1 - 0.05 / 2)


def test_after_one_that_is_not_shown_nobody_gets_cheaper() -> None:
    """The second is not shown for the price of two, so the third pays for two as well."""
    family = [Discordant(30, 2, 500), Discordant(9, 3, 500), Discordant(8, 4, 500)]

    assert holm_levels(family) == (1 - 0.05 / 3, 1 - 0.05 / 2, 1 - 0.05 / 2)


def test_the_last_of_all_pays_for_itself() -> None:
    """Where everybody is shown, the level does not fall below that of one comparison."""
    assert holm_levels([Discordant(40, 0, 500)] * 2) == (1 - 0.05 / 2, 0.95)
    assert holm_levels([Discordant(40, 0, 500)]) == (0.95,)
    assert holm_levels([]) == ()


def test_a_gain_is_no_harm() -> None:
    """A member that clearly got better pays for all and makes nobody cheaper."""
    assert holm_levels([Discordant(0, 90, 500), Discordant(3, 2, 500)]) == (0.975, 0.975)


@functools.cache
def is_shown_worse(one: Discordant, level: float) -> bool:
    """Say whether the upper bound lies below zero; the same counts come up again and again."""
    return one.high_ratio(level) < 0


def test_equal_models_are_rarely_called_worse() -> None:
    """Of 1,500 families of five equal pairs, no more show any harm than a score test of 5.3 % would."""
    counts = np.random.default_rng(1).multinomial(200, (0.06, 0.06, 0.88), (1500, 5))
    false_count = 0
    for rows in counts:
        family = [Discordant(int(worse), int(better), 200) for worse, better, _ in rows]
        false_count += any(map(is_shown_worse, family, holm_levels(family)))

    assert stats.binom.ppf(0.001, 1500, 0.03) <= false_count <= stats.binom.ppf(0.999, 1500, 0.053)


def test_one_equal_pair_is_called_worse_as_rarely_as_its_level_says() -> None:
    """The exact probability, over all counts of flips, is at most a third of a point above 5 %."""
    probability = 0.0
    for worse, better in itertools.product(range(31), repeat=2):
        if worse + better <= 60 and is_shown_worse(Discordant(worse, better, 60), 0.95):
            probability += stats.multinomial.pmf([worse, better, 60 - worse - better], 60, (0.085, 0.085, 0.83))

    assert 0.05 < probability < 0.05334


def test_the_bounds_are_tangos_on_both_sides() -> None:
    """Low is the lower bound of the change, high the mirror image: the lower bound with the models exchanged."""
    one = Discordant(9, 4, 872)

    assert one.change_ratio == -5 / 872
    assert one.low_ratio(0.95) == tango_lower(9, 4, 872)
    assert one.low_ratio(0.99) == tango_lower(9, 4, 872, level=0.99)
    assert one.high_ratio(0.99) == -Discordant(4, 9, 872).low_ratio(0.99)
    assert one.low_ratio(0.95) < one.change_ratio < one.high_ratio(0.95)


def least_count(bound: float, member_count: int) -> int:
    """Return the fewest examples that can be judged: with one flip Tango's Z at -b is (nb - 1) / sqrt(nb (1 - b))."""
    z_spread = float(stats.norm.ppf(1 - 0.05 / member_count)) * math.sqrt(bound * (1 - bound))
    root = (z_spread + math.sqrt(z_spread**2 + 4 * bound)) / (2 * bound)
    return int(root**2) + 1


@pytest.mark.parametrize("bound", [0.05, 0.01])
def test_one_alone_is_judged_from_the_count_on_that_clears_the_bound(bound: float) -> None:
    """The border is exact, by the closed form of the bound with one flip."""
    count = least_count(bound, 1)

    assert large_enough([count], bound_ratio=bound) == (True,)
    assert large_enough([count - 1], bound_ratio=bound) == (False,)


def test_every_member_raises_the_border_for_all() -> None:
    """What suffices alone does not suffice in a family of three that can all be judged."""
    three, one = least_count(0.05, 3), least_count(0.05, 1)

    assert one < three - 1
    assert large_enough([three, 900, 900], bound_ratio=0.05) == (True, True, True)
    assert large_enough([900, three - 1, 900], bound_ratio=0.05) == (True, False, True)


def test_those_who_leave_do_not_pay() -> None:
    """Tiny members make no difference to the border of the others."""
    two = least_count(0.05, 2)

    assert large_enough([3, two, 0, 900, 7, 1], bound_ratio=0.05) == (False, True, False, True, False, False)
    assert large_enough([3, two - 1, 0, 900, 7, 1], bound_ratio=0.05) == (False, False, False, True, False, False)


def test_the_largest_possible_family_is_judged() -> None:
    """In random families it is the largest number of largest members that all clear the bound together."""
    rng = np.random.default_rng(2)
    for _ in range(50):
        counts = [int(count) for count in rng.integers(20, 200, size=rng.integers(1, 9))]
        ranked = sorted(counts, reverse=True)
        fitting = [size for size in range(len(counts) + 1) if not size or ranked[size - 1] >= least_count(0.05, size)]
        judged = large_enough(counts, bound_ratio=0.05)

        assert sum(judged) == max(fitting)
        assert sorted(itertools.compress(counts, judged), reverse=True) == ranked[: max(fitting)]


def test_of_equals_the_last_in_order_leaves() -> None:
    """Where two of a size can be judged only one at a time, the first of them stays."""
    count = least_count(0.05, 1)

    assert large_enough([count, count], bound_ratio=0.05) == (True, False)


def test_nobody_may_be_large_enough() -> None:
    """No member, only empty ones, and a limit of no harm at all leave nothing to judge."""
    assert large_enough([], bound_ratio=0.05) == ()
    assert large_enough([0, 0], bound_ratio=0.05) == (False, False)
    assert large_enough([10**6], bound_ratio=0.0) == (False,)
