"""The study of rules on noise: noise is what it claims, time is equal, coins come last, and the numbers follow."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from perflib.benchmarking import noise as noises
from perflib.benchmarking import rivals, study
from perflib.benchmarking.decision import evidence_path
from perflib.benchmarking.planning import robust_sd
from perflib.errors import MeasurementError
from perflib.results import ArmEnvironment, ArmTiming, Comparison, Interval, Life, NoiseStudy, ScenarioComparison, Unit

RUN_SLOT_COUNT = 24 * study.LIFE_SLOTS
SHA = "0" * 64

each_noise = pytest.mark.parametrize("noise", noises.simulated_noises(), ids=lambda noise: noise.name)
each_rival = pytest.mark.parametrize("rival", rivals.RIVALS, ids=lambda rival: rival.name)


def chance(seed: int = 0) -> np.random.Generator:
    """Return seeded chance."""
    return np.random.default_rng(seed)


def recorded_life(rng: np.random.Generator, *, slot_sd: float, luck_sd: float, effect: float) -> Life:
    """Live one life of two quads, and a third that does not count."""
    luck = dict(zip("AB", rng.normal([0.0, effect], luck_sd), strict=True))
    units: list[Unit] = []
    for order in rng.choice(["ABBA", "BAAB"], 2):
        seconds = [math.exp(luck[letter] + rng.normal(0.0, slot_sd)) for letter in order]
        # The slot's value is the median of its calls.
        units.append(Unit(order, tuple((value / 2, value, value * 3) for value in seconds)))
    units.append(Unit("ABBA", ((90.0,), (1.0,), (1.0,), (90.0,)), dropped="a neighbour"))
    return Life("baseline", tuple(units), 0.0)


def comparison(lives: tuple[Life, ...]) -> Comparison:
    """Return a comparison that is nothing but lives."""
    timing = ArmTiming(1.0, 1.0, None, None, ())
    here = ArmEnvironment((), "3.11", {})
    scenario = ScenarioComparison(
        "single",
        "p50",
        "INCONCLUSIVE",
        Interval(1.0, None, None, 0.9),
        1.0,
        None,
        timing,
        timing,
        1,
        1,
        0.0,
        None,
        lives,
    )
    empty: dict[str, Any] = {field.name: () for field in dataclasses.fields(Comparison)}
    return Comparison(**{**empty, "name": "x", "scenarios": (scenario,), "baseline_environment": here})


def small_study(**change: Any) -> NoiseStudy:
    """Run the study with a few paths."""
    settings: dict[str, Any] = {
        "effects_ratio": (0.0, 0.10),
        "path_count": 3_000,
        "rival_path_count": 300,
        "any_time_lives_count": 60,
        "on_progress": lambda note: None,
    }
    return study.run_study(noises.simulated_noises(), **{**settings, **change})


@pytest.fixture(scope="module")
def result() -> NoiseStudy:
    """Run the study once for all tests that read it."""
    return small_study()


def said(result: NoiseStudy, rule: str, noise: str, effect: float) -> float:
    """Return how often a rule spoke."""
    (score,) = [s for s in result.scores if (s.rule, s.noise, s.effect_ratio) == (rule, noise, effect)]
    return score.said_ratio


# --- noise ------------------------------------------------------------------------------------------------------


@each_noise
def test_a_slot_has_the_spread_that_is_claimed(noise: noises.SimulatedNoise) -> None:
    """Across runs at the first slot, before any drift, the robust sd is the parameter, and luck has its own."""
    env_log, luck_log = dataclasses.replace(noise, slot_sd_log=0.03).draw(chance(), 20_000, 5, 2)

    assert env_log.shape == (20_000, 5)
    assert robust_sd(env_log[:, 0].tolist()) == pytest.approx(0.03, rel=0.04)
    assert luck_log.shape == (20_000, 2)
    assert luck_log.std() == pytest.approx(0.015, rel=0.03)


def test_each_kind_of_noise_is_of_its_kind() -> None:
    """Neighbours are alike in one only, one has outliers, one drifts and is skewed."""
    drawn = {kind.name: kind.draw(chance(1), 4_000, 50, 1)[0] for kind in noises.simulated_noises()}
    alike = {name: float(np.corrcoef(env[:, 10], env[:, 11])[0, 1]) for name, env in drawn.items()}
    spread_growth = {
        name: robust_sd(env[:, -1].tolist()) / robust_sd(env[:, 0].tolist()) for name, env in drawn.items()
    }

    assert alike["iid"] == pytest.approx(0.0, abs=0.06)
    assert alike["ar1"] == pytest.approx(0.7, abs=0.04)
    assert spread_growth["ar1"] == pytest.approx(1.0, abs=0.08)
    assert stats.kurtosis(drawn["student-t3"], axis=None) > 5 > stats.kurtosis(drawn["iid"], axis=None)
    assert stats.skew(drawn["lognormal-drift"][:, 0]) > 2
    assert spread_growth["lognormal-drift"] > 1.5


def test_recorded_windows_are_contiguous_and_their_starts_differ() -> None:
    """A stream that counts its slots shows the window, also where it runs over the end."""
    recorded = noises.RecordedNoise(np.arange(40.0)[None, :], np.array([-0.01, 0.01]))
    env_log, luck_log = recorded.draw(chance(), 500, 30, 3)

    assert np.all((np.diff(env_log, axis=1) % 40) == 1)
    assert set(env_log[:, 0]) == set(range(40))
    assert set(luck_log.ravel()) == {-0.01, 0.01}


def test_what_was_recorded_comes_back() -> None:
    """Slot noise and luck have the spread that went in; a true effect and dropped units leave no trace."""
    rng = chance(3)
    lives = [
        tuple(recorded_life(rng, slot_sd=0.02, luck_sd=0.015, effect=effect) for _ in range(150))
        for effect in (0.0, 0.3)
    ]
    recorded = noises.recorded_noise([comparison(one) for one in lives])

    assert recorded.streams_log.shape == (1, 2 * 150 * 8)
    assert recorded.streams_log.std() == pytest.approx(0.02, rel=0.06)
    assert recorded.lucks_log.shape == (300,)
    assert recorded.lucks_log.std() == pytest.approx(0.015, rel=0.15)


def test_slots_alone_are_not_taken_for_luck() -> None:
    """Where processes have no luck, the means of few slots still differ, and that is not put on processes."""
    rng = chance(4)
    lives = tuple(recorded_life(rng, slot_sd=0.02, luck_sd=0.0, effect=0.0) for _ in range(300))

    assert noises.recorded_noise([comparison(lives)]).lucks_log.std() < 0.004


def test_residuals_keep_the_order_of_the_run() -> None:
    """Two slots per process are a mean and a distance; each slot stands where it was timed."""
    unit = Unit("BAAB", tuple((math.exp(value),) for value in (5.0, 1.0, 2.0, 7.0)))
    recorded = noises.recorded_noise([comparison((Life("candidate", (unit,), 0.0),) * 20)])

    half = math.sqrt(2.0) / 2
    assert recorded.streams_log[0, :4] == pytest.approx([-2 * half, -half, half, 2 * half])


def test_too_few_lives_make_no_noise() -> None:
    """Nineteen lives are refused in one sentence that says how many there must be."""
    lives = tuple(recorded_life(chance(), slot_sd=0.02, luck_sd=0.0, effect=0.0) for _ in range(19))

    with pytest.raises(MeasurementError, match=r"^19 recorded lives are too few .* at least 20\.$"):
        noises.recorded_noise([comparison(lives)])


# --- rivals -----------------------------------------------------------------------------------------------------


@each_rival
@pytest.mark.parametrize("lives_count", [17, 24, 60])
def test_a_rival_gets_the_same_run_time(rival: rivals.Rival, lives_count: int) -> None:
    """A layout fits into the run, leaves little of it unused, and pays for the start of every process."""
    run_slot_count = lives_count * study.LIFE_SLOTS
    layout = rival.lay_out(run_slot_count)
    starts = np.bincount(layout.processes[~layout.is_counted], minlength=layout.process_count)

    assert layout.arms.size == layout.processes.size == layout.is_counted.size <= run_slot_count
    # Pinpoint doubles its values, and so may leave almost half.
    assert layout.arms.size > run_slot_count * (0.45 if rival.name == "pinpoint" else 0.9)
    assert set(starts) == {rivals.PROCESS_START_SLOTS}
    assert layout.is_counted[layout.arms == 0].sum() == layout.is_counted[layout.arms == 1].sum()


@each_rival
def test_a_process_belongs_to_one_arm(rival: rivals.Rival) -> None:
    """No process times both artifacts."""
    layout = rival.lay_out(RUN_SLOT_COUNT)
    pairs = set(zip(layout.processes.tolist(), layout.arms.tolist(), strict=True))

    assert len(pairs) == layout.process_count


def test_layouts_follow_the_habits() -> None:
    """Processes per arm, and which arm is timed when."""
    layouts = {rival.name: rival.lay_out(RUN_SLOT_COUNT) for rival in rivals.RIVALS}
    orders = {name: layout.arms[layout.is_counted].tolist() for name, layout in layouts.items()}

    assert {name: layout.process_count for name, layout in layouts.items()} == {
        "asv": 4,
        "pyperf": 40,
        "criterion": 2,
        "google-benchmark": 2,
        "pinpoint": 40,
        "nvbench": 2,
        "peeked-t-test": 2,
    }
    assert orders["criterion"] == sorted(orders["criterion"])
    assert orders["asv"] == [0] * 136 + [1] * 136 + [0] * 136 + [1] * 136
    assert orders["pinpoint"] == [0, 1] * 20
    assert orders["peeked-t-test"][:8] == [0, 1, 1, 0] * 2


@each_rival
def test_a_rival_sees_what_is_plain(rival: rivals.Rival) -> None:
    """Without luck and hardly any noise, a fifth slower is slower and a fifth faster is faster."""
    layout = rival.lay_out(RUN_SLOT_COUNT)
    env_log = chance().normal(0.0, 0.001, (20, RUN_SLOT_COUNT))
    luck_log = np.zeros((20, layout.process_count))

    assert rival.judge(*layout.timed(env_log, luck_log, 0.2)).tolist() == [1] * 20
    assert rival.judge(*layout.timed(env_log, luck_log, -0.2)).tolist() == [-1] * 20


@pytest.mark.parametrize(
    ("name", "level"), [("google-benchmark", 0.05), ("pyperf", 0.05), ("asv", 0.0), ("nvbench", 0.0)]
)
def test_a_rival_keeps_its_level_on_noise_that_it_was_made_for(name: str, level: float) -> None:
    """With independent slots and no luck, alarms are as many as its bar allows: the study itself adds none."""
    (rival,) = [rival for rival in rivals.RIVALS if rival.name == name]
    layout = rival.lay_out(RUN_SLOT_COUNT)
    env_log = chance(5).normal(0.0, 0.02, (2_000, RUN_SLOT_COUNT))
    verdicts = rival.judge(*layout.timed(env_log, np.zeros((2_000, layout.process_count)), 0.0))

    assert np.mean(verdicts != 0) == pytest.approx(level, abs=0.015)


def test_criterion_is_quieter_than_its_p_value_alone() -> None:
    """Of changes that are significant, only those beyond one per cent count; both conditions are there."""
    rng = chance(6)
    base, half_percent, three_percent = (rng.normal(shift, 0.01, (50, 280)) for shift in (0.0, 0.005, 0.03))

    assert not rivals.judge_criterion(base, half_percent).any()
    assert rivals.judge_criterion(base, three_percent).tolist() == [1] * 50


def test_asv_is_silent_below_its_factor() -> None:
    """Nine per cent slower is certain and still not said, eleven is."""
    base, nine, eleven = (chance(12).normal(math.log(ratio), 0.001, (20, 272)) for ratio in (1.0, 1.09, 1.11))

    assert not rivals.judge_asv(base, nine).any()
    assert rivals.judge_asv(base, eleven).tolist() == [1] * 20


def test_kolmogorov_smirnov_is_exact() -> None:
    """The table by reflection gives what SciPy's exact method gives."""
    rng = chance(7)
    first, second = rng.normal(size=(40, 20)), rng.normal(0.6, 1.0, (40, 20))
    slow = [stats.ks_2samp(a, b, method="exact").pvalue for a, b in zip(first, second, strict=True)]

    assert rivals.ks_p_values(first, second) == pytest.approx(slow)


def test_the_peeked_test_is_scipys_at_every_look() -> None:
    """It stops at the first quad at which a plain t-test of all quads so far is below one per cent."""
    rng = chance(8)
    baseline, candidate = rng.normal(size=(60, 24)), rng.normal(size=(60, 24))
    quads = (candidate - baseline).reshape(60, 12, 2).mean(axis=2)
    expected = []
    for path in quads:
        looks = (stats.ttest_1samp(path[:count], 0.0) for count in range(2, 13))
        expected.append(next((int(np.sign(look.statistic)) for look in looks if look.pvalue < 0.01), 0))

    assert {-1, 0, 1} == set(expected)
    assert rivals.judge_peeked_t(baseline, candidate).tolist() == expected


# --- our rule ---------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class FirstSlotSlow:
    """A machine without chance, on which every fourth slot is slow; it remembers chance as it was given."""

    seen: list[Any]
    name: str = "first-slot-slow"

    def draw(
        self, rng: np.random.Generator, path_count: int, slot_count: int, process_count: int
    ) -> tuple[noises.Floats, noises.Floats]:
        """Use no chance at all."""
        self.seen.append(rng.bit_generator.state)
        env_log = np.tile([0.1, 0.0, 0.0, 0.0], (path_count, slot_count // 4))
        return env_log, np.tile([0.0, 0.3], (path_count, process_count // 2))


def test_coins_are_tossed_after_the_slots() -> None:
    """Noise is drawn with untouched chance, and on a machine without chance only coins give the values their signs."""
    machine = FirstSlotSlow([])
    values = study.draw_lives(machine, chance(9), 500, 24)
    shares = {value: float(np.mean(np.isclose(values, value))) for value in (0.35, 0.3, 0.25, -0.25, -0.3, -0.35)}

    assert machine.seen == [chance(9).bit_generator.state]
    assert shares == pytest.approx(
        {0.35: 1 / 8, 0.3: 1 / 4, 0.25: 1 / 8, -0.25: 1 / 8, -0.3: 1 / 4, -0.35: 1 / 8}, abs=0.02
    )


def test_luck_that_always_hits_the_second_process_is_no_alarm() -> None:
    """Where the process started second is 30 % slower every time, only the coin over loading keeps us honest."""
    paths = evidence_path(study.draw_lives(FirstSlotSlow([]), chance(11), 3_000, 24))
    alarms = int((paths >= math.log(100.0)).any(axis=1).sum())

    assert stats.binomtest(alarms, 3_000, 0.01, alternative="greater").pvalue > 0.001


@each_noise
def test_each_side_keeps_its_bound_without_the_help_of_a_tolerance(noise: noises.SimulatedNoise) -> None:
    """At a tolerance of nothing, where the promise is sharp, neither slower nor faster is said in over 1 %."""
    lives = study.draw_lives(noise, chance(10), 3_000, 24)
    bar = math.log(100.0)

    for sign in (1, -1):
        alarms = int((evidence_path(sign * lives) >= bar).any(axis=1).sum())
        assert stats.binomtest(alarms, 3_000, 0.01, alternative="greater").pvalue > 0.001


@each_noise
def test_our_alarms_stay_below_one_per_cent(result: NoiseStudy, noise: noises.SimulatedNoise) -> None:
    """After 24 lives and after 60 with a look after each."""
    (longer,) = [score for score in result.any_time if score.noise == noise.name]

    assert said(result, "perflib", noise.name, 0.0) <= 0.01
    assert longer.said_ratio <= 0.01
    assert longer.path_count == 3_000


@each_noise
def test_ten_per_cent_is_found(result: NoiseStudy, noise: noises.SimulatedNoise) -> None:
    """Nearly always, and typically in eight lives."""
    (score,) = [s for s in result.scores if (s.rule, s.noise, s.effect_ratio) == ("perflib", noise.name, 0.10)]

    assert score.said_ratio > 0.99
    assert score.median_lives_count == 8


@each_noise
@pytest.mark.parametrize("rule", ["criterion", "google-benchmark", "peeked-t-test"])
def test_one_process_per_arm_mistakes_luck_for_speed(
    result: NoiseStudy, noise: noises.SimulatedNoise, rule: str
) -> None:
    """A rule with one process per arm alarms in a third of all runs at least, thirty times as often as we may."""
    assert said(result, rule, noise.name, 0.0) > 0.33


def test_without_luck_one_process_would_do() -> None:
    """What those rules suffer from is luck: without it, drift and all neighbours, a U test is back at its level."""
    calm = noises.simulated_noises(luck_sd_log=0.0)[:1]
    scores = study.run_study(
        calm, effects_ratio=(0.0,), path_count=10, rival_path_count=1_000, on_progress=lambda note: None
    ).scores

    assert next(score.said_ratio for score in scores if score.rule == "google-benchmark") < 0.08


def test_only_the_right_direction_is_a_find() -> None:
    """A candidate that is faster by a fifth is never counted as a slowdown found, by no rule."""
    scores = small_study(effects_ratio=(-0.2,), path_count=100, rival_path_count=20).scores

    assert {score.said_ratio for score in scores} == {0.0}


def test_the_study_is_told_and_complete(result: NoiseStudy) -> None:
    """Every rule has every effect on every noise, the run time is stated, and progress names each part."""
    notes: list[str] = []
    again = small_study(path_count=20, rival_path_count=20, on_progress=notes.append, seed=1)

    assert len(notes) == 3 * 4
    assert {(s.rule, s.noise, s.effect_ratio) for s in again.scores} == {
        (rule, kind.name, effect)
        for rule in ("perflib", *(rival.name for rival in rivals.RIVALS))
        for kind in noises.simulated_noises()
        for effect in (0.0, 0.10)
    }
    assert (result.run_slot_count, result.lives_count) == (576, 24)
    assert {s.median_lives_count for s in result.scores if s.rule != "perflib"} == {None}
    assert {s.path_count for s in again.scores} == {20}
    assert NoiseStudy.from_dict(again.to_dict()) == again


def test_the_same_seed_gives_the_same_study() -> None:
    """And another one another."""
    first, same, other = (small_study(path_count=200, rival_path_count=20, seed=seed) for seed in (1, 1, 2))

    assert first == same
    assert first.scores != other.scores


def test_a_run_too_short_for_a_rival_is_refused() -> None:
    """Twenty processes per arm do not fit into eight lives, and nothing is compared at unequal time."""
    with pytest.raises(MeasurementError, match="192 slots are too few for 40 processes"):
        small_study(lives_count=8, path_count=10, rival_path_count=10)


def test_half_must_stop_for_a_median() -> None:
    """Four of seven stopped: the fourth says when; three of seven did not do it."""
    ended = np.array([9.0, 7.0, 8.0, 12.0, *[math.inf] * 3])
    more = np.array([9.0, 7.0, 8.0, *[math.inf] * 4])
    scores = [
        study.wilson_score(np.isfinite(lives), rule="x", noise="y", effect_ratio=0.1, lives_counts=lives)
        for lives in (ended, more)
    ]

    assert [score.median_lives_count for score in scores] == [12, None]
    assert scores[0].said_ratio == pytest.approx(4 / 7)
    assert (scores[0].low_ratio, scores[0].high_ratio) == pytest.approx((0.2505, 0.8418), abs=0.0005)
