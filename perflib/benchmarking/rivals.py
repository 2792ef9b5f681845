"""
Rules that other tools decide by, each with a layout of the same run time, so that they can be tried on the same noise.

These are our readings of the tools' habits, reduced to what a simulation needs: how many processes, in which order,
which test, which bar. None of them is the tool run, and every tool can be used with more care than its habit.
A process costs eight slots of start and warm-up, the same price that our own processes pay.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from perflib.benchmarking.noise import Floats
from perflib.errors import MeasurementError

Verdicts = NDArray[np.int8]
# Baseline's and candidate's counted slots in log, (paths, slots) in run order; +1 slower, -1 faster, 0 neither.
Judge = Callable[[Floats, Floats], Verdicts]

PROCESS_START_SLOTS = 8
_PYPERF_ARMS = (0,) * 20 + (1,) * 20
_PINPOINT_LOOKS = (10, 20, 40, 80, 160)
_RESAMPLES_COUNT = 500


@dataclasses.dataclass(frozen=True)
class Layout:
    """What runs in each slot: ``arms`` 0 (baseline) or 1, which of the run's processes, and whether it is timed."""

    arms: NDArray[np.int64]
    processes: NDArray[np.int64]
    is_counted: NDArray[np.bool_]

    @property
    def process_count(self) -> int:
        """How many processes the run starts."""
        return int(self.processes.max()) + 1

    def timed(self, env_log: Floats, luck_log: Floats, effect_ratio: float) -> tuple[Floats, Floats]:
        """
        Time the run in this noise.

        Args:
            env_log: From `Noise.draw`, with at least as many slots as the layout.
            luck_log: From `Noise.draw`, with at least as many processes as the layout.
            effect_ratio: How much slower the candidate truly is.

        Returns:
            The counted slots of baseline and candidate, (paths, slots) each.
        """
        places = (np.flatnonzero(self.is_counted & (self.arms == arm)) for arm in (0, 1))
        baseline, candidate = (env_log[:, place] + luck_log[:, self.processes[place]] for place in places)
        return baseline, candidate + math.log1p(effect_ratio)


@dataclasses.dataclass(frozen=True)
class Rival:
    """A rule, named for the tool whose habit it is: how it spends the slots of a run, and what it says."""

    name: str
    lay_out: Callable[[int], Layout]
    judge: Judge


def one_after_the_other(process_arms: Sequence[int], run_slot_count: int) -> Layout:
    """
    Give every process the same share of the run, each alone on the machine from its start to its end.

    Args:
        process_arms: The arm of each process in order.
        run_slot_count: Slots that there are; what does not divide evenly is left unused.

    Raises:
        MeasurementError: If not even two slots of each process could be timed.

    Example:
        >>> layout = one_after_the_other([0, 1], 20)
        >>> int(layout.is_counted.sum()), layout.arms[layout.is_counted].tolist()
        (4, [0, 0, 1, 1])
    """
    count = len(process_arms)
    share = run_slot_count // count if count else 0
    if share < PROCESS_START_SLOTS + 2:
        raise MeasurementError(f"{run_slot_count} slots are too few for {count} processes; simulate more lives.")
    is_counted = np.arange(share) >= PROCESS_START_SLOTS
    return Layout(np.repeat(process_arms, share), np.repeat(np.arange(count), share), np.tile(is_counted, count))


def fresh_for_each_value(run_slot_count: int) -> Layout:
    """Time one slot per process, arms in turn, and as many processes as the last look that fits needs."""
    each = PROCESS_START_SLOTS + 1
    affordable = [look for look in _PINPOINT_LOOKS if 2 * look * each <= run_slot_count]
    if not affordable:
        raise MeasurementError(f"{run_slot_count} slots are too few for {_PINPOINT_LOOKS[0]} fresh values per arm.")
    processes = np.repeat(np.arange(2 * affordable[-1]), each)
    is_counted = np.tile(np.arange(each) == PROCESS_START_SLOTS, 2 * affordable[-1])
    return Layout(processes % 2, processes, is_counted)


def quads_of_one_pair(run_slot_count: int) -> Layout:
    """Start one process per arm, then time quads ABBA in this pair until the run is over."""
    quads_count = (run_slot_count - 2 * PROCESS_START_SLOTS) // 4
    if quads_count < 2:
        raise MeasurementError(f"{run_slot_count} slots are too few for two quads; simulate more lives.")
    starts = np.repeat([0, 1], PROCESS_START_SLOTS)
    arms = np.concatenate([starts, np.tile([0, 1, 1, 0], quads_count)])
    return Layout(arms, arms, np.arange(arms.size) >= starts.size)


def judge_asv(baseline: Floats, candidate: Floats) -> Verdicts:
    """``asv continuous``: Mann-Whitney p < 0.002, and medians further apart than a factor of 1.1."""
    shift_log = np.median(candidate, axis=1) - np.median(baseline, axis=1)
    return _signs(shift_log, (_mann_whitney(baseline, candidate) < 0.002) & (np.abs(shift_log) > math.log(1.1)))


def judge_pyperf(baseline: Floats, candidate: Floats) -> Verdicts:
    """``pyperf compare_to``: Student's t-test at 95 % over all values, as if no two came from one process."""
    test = stats.ttest_ind(np.exp(candidate), np.exp(baseline), axis=1)
    return _signs(test.statistic, test.pvalue < 0.05)


def judge_criterion(baseline: Floats, candidate: Floats) -> Verdicts:
    """
    Criterion.rs: bootstrapped t-test p < 0.05, and the whole 95 % interval of the mean's change beyond ±1 %.

    All paths share the resamples, which makes them cheap; each path alone is bootstrapped as usual.
    """
    a_sec, b_sec = np.exp(baseline), np.exp(candidate)
    means_a, means_b = (_resampled(arm, arm.shape[1], part)[0] for part, arm in enumerate((a_sec, b_sec)))
    low, high = np.quantile(means_b / means_a - 1, (0.025, 0.975), axis=1)
    pool = np.concatenate([a_sec, b_sec], axis=1)
    (means_a, vars_a), (means_b, vars_b) = (
        _resampled(pool, arm.shape[1], part) for part, arm in enumerate((a_sec, b_sec))
    )
    null = (means_b - means_a) / np.sqrt(vars_a / a_sec.shape[1] + vars_b / b_sec.shape[1])
    real = stats.ttest_ind(b_sec, a_sec, axis=1, equal_var=False).statistic
    below = (null < real[:, None]).mean(axis=1)
    is_different = 2 * np.minimum(below, 1 - below) < 0.05
    return _signs(low + high, is_different & ((low > 0.01) | (high < -0.01)))


def judge_google(baseline: Floats, candidate: Floats) -> Verdicts:
    """Google benchmark's ``compare.py``: a U test at 0.05 over the repetitions."""
    shift_log = np.median(candidate, axis=1) - np.median(baseline, axis=1)
    return _signs(shift_log, _mann_whitney(baseline, candidate) < 0.05)


def judge_pinpoint(baseline: Floats, candidate: Floats) -> Verdicts:
    """Pinpoint: the smaller p-value of Kolmogorov-Smirnov and Mann-Whitney <= 0.01, looked at again as values grow."""
    verdicts = np.zeros(baseline.shape[0], np.int8)
    for look in (look for look in _PINPOINT_LOOKS if look <= baseline.shape[1]):
        first_a, first_b = baseline[:, :look], candidate[:, :look]
        p_values = np.minimum(_mann_whitney(first_a, first_b), ks_p_values(first_a, first_b))
        now = _signs(np.median(first_b, axis=1) - np.median(first_a, axis=1), p_values <= 0.01)
        verdicts = np.where(verdicts == 0, now, verdicts)
    return verdicts


def judge_nvbench(baseline: Floats, candidate: Floats) -> Verdicts:
    """
    ``nvbench_compare``: the intervals of mean ± noise do not overlap.

    Noise we take to be the relative standard deviation of an arm's own samples. An older form of the script is bolder:
    it needs a change beyond the smaller of the two noises only.
    """
    a_sec, b_sec = np.exp(baseline), np.exp(candidate)
    shift_sec = b_sec.mean(axis=1) - a_sec.mean(axis=1)
    return _signs(shift_sec, np.abs(shift_sec) > a_sec.std(axis=1, ddof=1) + b_sec.std(axis=1, ddof=1))


def judge_peeked_t(baseline: Floats, candidate: Floats) -> Verdicts:
    """Nobody's tool and many people's habit: a t-test at 1 % over quads, looked at after each from the second on."""
    # Of a quad ABBA the first two slots of each arm are its own, whatever stands between them.
    quads = (candidate - baseline).reshape(baseline.shape[0], -1, 2).mean(axis=2)
    counts = np.arange(1, quads.shape[1] + 1)
    means = quads.cumsum(axis=1) / counts
    squares = np.maximum((quads**2).cumsum(axis=1) - counts * means**2, 0.0)[:, 1:]
    bars = stats.t.ppf(0.995, counts[1:] - 1) * np.sqrt(squares / (counts[1:] - 1) / counts[1:])
    is_over = np.abs(means[:, 1:]) > bars
    first = is_over.argmax(axis=1)
    return _signs(means[np.arange(first.size), first + 1], is_over.any(axis=1))


RIVALS = (
    # Two rounds, arms in turn, the order never tossed.
    Rival("asv", functools.partial(one_after_the_other, (0, 1, 0, 1)), judge_asv),
    Rival("pyperf", functools.partial(one_after_the_other, _PYPERF_ARMS), judge_pyperf),
    # The baseline was stored earlier; here not even days lie between, only the other half of the run.
    Rival("criterion", functools.partial(one_after_the_other, (0, 1)), judge_criterion),
    Rival("google-benchmark", functools.partial(one_after_the_other, (0, 1)), judge_google),
    Rival("pinpoint", fresh_for_each_value, judge_pinpoint),
    Rival("nvbench", functools.partial(one_after_the_other, (0, 1)), judge_nvbench),
    Rival("peeked-t-test", quads_of_one_pair, judge_peeked_t),
)


def ks_p_values(first: Floats, second: Floats) -> Floats:
    """
    Return the exact two-sided p-values of Kolmogorov-Smirnov for two samples of one size, row by row.

    Example:
        >>> ks_p_values(np.array([[1.0, 2.0, 3.0]]), np.array([[4.0, 5.0, 6.0]])).round(3).tolist()
        [0.1]
    """
    count = first.shape[1]
    order = np.concatenate([first, second], axis=1).argsort(axis=1)
    walks = np.where(order < count, 1, -1).cumsum(axis=1)
    p_values: Floats = _ks_table(count)[np.abs(walks).max(axis=1)]
    return p_values


@functools.cache
def _ks_table(count: int) -> Floats:
    """Return P(the walk of ``count`` steps up and as many down reaches k) for each k, by the reflection principle."""
    whole = math.comb(2 * count, count)
    sums = [
        sum((-1) ** (turn - 1) * math.comb(2 * count, count - turn * k) for turn in range(1, count // k + 1))
        for k in range(1, count + 1)
    ]
    return np.array([1.0, *(min(1.0, 2 * total / whole) for total in sums)])


def _resampled(values_sec: Floats, size: int, part: int) -> tuple[Floats, Floats]:
    """Return means and variances of resamples of ``size`` values, (paths, resamples)."""
    weights = _weights(values_sec.shape[1], size, part)
    means: Floats = values_sec @ weights
    return means, np.maximum((values_sec**2) @ weights - means**2, 0.0) * size / (size - 1)


@functools.cache
def _weights(count: int, size: int, part: int) -> Floats:
    """Return how often each of ``count`` values is drawn in each resample, as shares; arms differ by their part."""
    rng = np.random.default_rng((count, size, part))
    weights: Floats = rng.multinomial(size, np.full(count, 1.0 / count), size=_RESAMPLES_COUNT).T / size
    return weights


def _mann_whitney(baseline: Floats, candidate: Floats) -> Floats:
    p_values: Floats = stats.mannwhitneyu(candidate, baseline, axis=1).pvalue
    return p_values


def _signs(shifts: Floats, is_different: NDArray[np.bool_]) -> Verdicts:
    return np.where(is_different, np.sign(shifts), 0).astype(np.int8)
