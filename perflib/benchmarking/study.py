"""
How often our rule cries wolf and how much it finds, beside other rules that get the same run time.

Every path is a run of slots whose noise is drawn first, for all rules alike and without a thought of arms; only then
are the coins tossed that say what ran in which slot.
What is tried is the rule as it stands in `perflib.benchmarking.decision`, not a copy of it.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from perflib.benchmarking.decision import evidence_path
from perflib.benchmarking.noise import Floats, Noise
from perflib.benchmarking.rivals import PROCESS_START_SLOTS, RIVALS, Verdicts
from perflib.progress import Progress
from perflib.results import NoiseStudy, RuleScore

OUR_RULE = "perflib"
QUADS_PER_LIFE = 2
OVERHEAD_SLOTS = 2 * PROCESS_START_SLOTS
LIFE_SLOTS = OVERHEAD_SLOTS + 4 * QUADS_PER_LIFE
# Paths at a time; sixty lives of a thousand paths with all rates of the evidence are some 50 MB.
_CHUNK_PATHS = 1_000


@dataclasses.dataclass(frozen=True)
class _Said:
    """What a rule said of each path, and after how many lives; infinite where it said nothing or cannot stop."""

    verdicts: Verdicts
    lives_counts: Floats


def run_study(
    noises: Sequence[Noise],
    *,
    effects_ratio: Sequence[float] = (0.0, 0.03, 0.05, 0.10),
    lives_count: int = 24,
    any_time_lives_count: int = 60,
    path_count: int = 10_000,
    rival_path_count: int = 1_000,
    alpha: float = 0.01,
    tolerance: float = 0.005,
    seed: int = 0,
    on_progress: Callable[[str], None] | None = None,
) -> NoiseStudy:
    """
    Try our rule and its rivals on each kind of noise with each effect.

    Our verdicts are slower and faster only. The third, no regression, would end many runs earlier and so can take
    alarms away but add none.

    Args:
        noises: Kinds of noise.
        effects_ratio: Slowdowns of the candidate; 0 is A/A.
        lives_count: Lives of a run of ours, and so everybody's run time; pyperf's forty processes need 17 to fit in.
        any_time_lives_count: Lives of the longer runs on which the promise of looking at any time is tried.
        path_count: Runs of ours.
        rival_path_count: Runs of each rival; all of them get the same noise.
        alpha: Bound on a wrong verdict of ours, each way. Rivals keep their own bars.
        tolerance: A change of at most this share is none.
        seed: Of all chance.
        on_progress: Told after each part instead of a progress bar.

    Raises:
        MeasurementError: If a rival's processes do not fit into the run time.
    """
    scores: list[RuleScore] = []
    any_time: list[RuleScore] = []
    with contextlib.ExitStack() as stack:
        tell = on_progress or stack.enter_context(Progress("trying rules", 3 * len(noises))).step
        for place, noise in enumerate(noises):
            ours, longer, theirs = (np.random.default_rng((seed, place, part)) for part in range(3))
            scores += _try_ours(noise, ours, lives_count, path_count, effects_ratio, alpha=alpha, tolerance=tolerance)
            tell(f"{noise.name}, ours")
            any_time += _try_ours(
                noise, longer, any_time_lives_count, path_count, (0.0,), alpha=alpha, tolerance=tolerance
            )
            tell(f"{noise.name}, at any time")
            scores += _try_rivals(noise, theirs, lives_count * LIFE_SLOTS, rival_path_count, effects_ratio)
            tell(f"{noise.name}, rivals")
    return NoiseStudy(
        seed=seed,
        alpha_ratio=alpha,
        run_slot_count=lives_count * LIFE_SLOTS,
        lives_count=lives_count,
        any_time_lives_count=any_time_lives_count,
        scores=tuple(scores),
        any_time=tuple(any_time),
    )


def draw_lives(noise: Noise, rng: np.random.Generator, path_count: int, lives_count: int) -> Floats:
    """
    Draw the machine and its processes, then toss the coins, and return the value of each life without any effect.

    Args:
        noise: Kind of noise.
        rng: Where chance comes from.
        path_count: Runs.
        lives_count: Lives of each run.

    Returns:
        Log-ratios, (paths, lives).
    """
    env_log, luck_log = noise.draw(rng, path_count, lives_count * LIFE_SLOTS, 2 * lives_count)
    lives_log = env_log.reshape(path_count, lives_count, LIFE_SLOTS)[:, :, OVERHEAD_SLOTS:]
    return life_values(
        lives_log.reshape(path_count, lives_count, QUADS_PER_LIFE, 4),
        luck_log.reshape(path_count, lives_count, 2),
        is_abba=rng.integers(2, size=(path_count, lives_count, QUADS_PER_LIFE)) == 0,
        is_baseline_first=rng.integers(2, size=(path_count, lives_count)) == 0,
    )


def life_values(
    slots_log: Floats, luck_log: Floats, *, is_abba: NDArray[np.bool_], is_baseline_first: NDArray[np.bool_]
) -> Floats:
    """
    Return the values of lives whose slots are there already, as the coins fell.

    Args:
        slots_log: (..., quads, 4).
        luck_log: Of the process started first and of the other, (..., 2).
        is_abba: One coin per quad, (..., quads).
        is_baseline_first: One coin per life: which arm the first process loads.

    Example:
        >>> slots, luck = np.array([[0.0, 0.1, 0.1, 0.0]]), np.array([0.02, 0.0])
        >>> float(life_values(slots, luck, is_abba=np.array([True]), is_baseline_first=np.array(True)).round(3))
        0.08
    """
    inner_minus_outer = (slots_log[..., 1] + slots_log[..., 2] - slots_log[..., 0] - slots_log[..., 3]) / 2
    quads = np.where(is_abba, inner_minus_outer, -inner_minus_outer)
    second_minus_first = luck_log[..., 1] - luck_log[..., 0]
    values: Floats = quads.mean(axis=-1) + np.where(is_baseline_first, second_minus_first, -second_minus_first)
    return values


def wilson_score(
    said: NDArray[np.bool_], *, rule: str, noise: str, effect_ratio: float, lives_counts: Floats | None = None
) -> RuleScore:
    """
    Score a rule by the paths in which it said what is counted.

    Args:
        said: One truth per path.
        rule: Name.
        noise: Name.
        effect_ratio: What was put in.
        lives_counts: When each path ended, infinite where it did not; None for a rule without lives.
    """
    said_count, path_count = int(said.sum()), said.size
    interval = stats.binomtest(said_count, path_count).proportion_ci(method="wilson")
    median = math.inf if lives_counts is None else float(np.sort(lives_counts)[(path_count - 1) // 2])
    return RuleScore(
        rule=rule,
        noise=noise,
        effect_ratio=effect_ratio,
        said_ratio=said_count / path_count,
        low_ratio=float(interval.low),
        high_ratio=float(interval.high),
        path_count=path_count,
        median_lives_count=int(median) if math.isfinite(median) else None,
    )


def _try_ours(
    noise: Noise,
    rng: np.random.Generator,
    lives_count: int,
    path_count: int,
    effects_ratio: Sequence[float],
    *,
    alpha: float,
    tolerance: float,
) -> Iterator[RuleScore]:
    """Score our rule; all effects are put into the same lives, as a shift of the candidate's slots is one of a life."""
    heard: dict[float, list[_Said]] = {effect: [] for effect in effects_ratio}
    for chunk_count in _chunks(path_count):
        lives = draw_lives(noise, rng, chunk_count, lives_count)
        for effect, parts in heard.items():
            parts.append(_first_said(lives + math.log1p(effect), alpha=alpha, tolerance=tolerance))
    for effect, parts in heard.items():
        verdicts = np.concatenate([part.verdicts for part in parts])
        lives_counts = np.concatenate([part.lives_counts for part in parts])
        yield wilson_score(
            _counts(verdicts, effect), rule=OUR_RULE, noise=noise.name, effect_ratio=effect, lives_counts=lives_counts
        )


def _try_rivals(
    noise: Noise, rng: np.random.Generator, run_slot_count: int, path_count: int, effects_ratio: Sequence[float]
) -> Iterator[RuleScore]:
    """Score the rivals; all of them get the same machine, the same processes and every effect on both."""
    layouts = {rival: rival.lay_out(run_slot_count) for rival in RIVALS}
    process_count = max(layout.process_count for layout in layouts.values())
    heard: dict[tuple[str, float], list[Verdicts]] = {
        (rival.name, effect): [] for rival in RIVALS for effect in effects_ratio
    }
    for chunk_count in _chunks(path_count):
        env_log, luck_log = noise.draw(rng, chunk_count, run_slot_count, process_count)
        for rival, layout in layouts.items():
            for effect in effects_ratio:
                heard[rival.name, effect].append(rival.judge(*layout.timed(env_log, luck_log, effect)))
    for (name, effect), parts in heard.items():
        yield wilson_score(_counts(np.concatenate(parts), effect), rule=name, noise=noise.name, effect_ratio=effect)


def _first_said(lives_log: Floats, *, alpha: float, tolerance: float) -> _Said:
    """Look after every life and stop at the first bar that is reached, slower before faster."""
    bar, theta = math.log(1.0 / alpha), math.log1p(tolerance)
    slower, faster = (_first_life(evidence_path(sign * lives_log, theta) >= bar) for sign in (1, -1))
    verdicts = np.where(slower <= faster, 1, -1) * np.isfinite(np.minimum(slower, faster))
    return _Said(verdicts.astype(np.int8), np.minimum(slower, faster))


def _first_life(is_over: NDArray[np.bool_]) -> Floats:
    """Return the count of lives at the first crossing, infinite without one."""
    return np.where(is_over.any(axis=1), is_over.argmax(axis=1) + 1.0, np.inf)


def _counts(verdicts: Verdicts, effect_ratio: float) -> NDArray[np.bool_]:
    """Say which paths count: with an effect those that found it, without one all that claim to have found any."""
    return verdicts > 0 if effect_ratio else verdicts != 0


def _chunks(path_count: int) -> Iterator[int]:
    for start in range(0, path_count, _CHUNK_PATHS):
        yield min(_CHUNK_PATHS, path_count - start)
