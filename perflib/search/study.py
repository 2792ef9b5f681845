"""
The search itself: which combination next, until the time is spent or nothing is left.

Suggestions come from a multi-objective tree-structured Parzen estimator (Optuna). Its only memory is our own record:
it is told all trials again before each question, and its seed follows from their number. So there is one truth on the
disk, written whole after every trial, and a search that was killed goes on exactly as if it had not been.
"""

import dataclasses
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from perflib.errors import InterruptedRunError, PerflibError, SetupError
from perflib.progress import Progress
from perflib.results import Search, SearchTrial
from perflib.search.front import choose_finalists, pareto_front
from perflib.search.space import Choices, Space

# A combination -> what a cheap look says of it.
Screen = Callable[[Choices], SearchTrial]

# Suggestions that were tried already, in a row, before one is drawn from what is left.
_PATIENCE_COUNT = 20
_AIMS_COUNT = 4
# What could not be built stands in the sampler's memory as the worst that there can be: all accuracy lost.
_WORST_DROP_RATIO = 1.0
_LEAST_BREACH_RATIO = 1e-9


def run_study(
    space: Space,
    record: Search,
    screen: Screen,
    *,
    keep: Callable[[Search], object],
    clock: Callable[[], float] = time.perf_counter,
) -> Search:
    """
    Screen one combination after the other, then fix the front and the finalists.

    Args:
        space: What may be combined.
        record: As `begin_record` or an interrupted search left it.
        screen: Builds and measures one combination; what it raises becomes a failed trial, but for an interruption and
            a machine that has to be put right first.
        keep: Is handed the whole record after every trial.
        clock: Monotonic seconds.

    Returns:
        The record with ``stop``, front and finalists; a trial that has begun is finished, so more than the budget may
        have been spent.
    """
    left = set(space.combinations) - {trial.choices for trial in record.trials}
    with Progress("searching", len(left)) as bar:
        while left and record.spent_sec < record.budget_sec:
            choices = suggest(space, record.trials, left, seed=record.seed)
            start_sec = clock()
            trial = _screened(space, choices, screen)
            wall_sec = clock() - start_sec
            record = dataclasses.replace(
                record,
                trials=(*record.trials, dataclasses.replace(trial, wall_sec=wall_sec)),
                spent_sec=record.spent_sec + wall_sec,
            )
            record = dataclasses.replace(record, front=pareto_front(record.trials))
            keep(record)
            left.remove(choices)
            bar.step(trial.status)
    record = _with_finalists(space, record, stop="budget-spent" if left else "exhausted")
    keep(record)
    return record


def begin_record(
    space: Space,
    *,
    workload: str,
    baseline_sha256: str,
    refusals: Mapping[Choices, str],
    budget_sec: float,
    seed: int,
) -> Search:
    """Return the record of a search that has not tried anything; what stages refuse stands in it already."""
    return Search(
        workload=workload,
        space_sha256=space.digest(),
        baseline_sha256=baseline_sha256,
        combination_count=len(space.combinations),
        max_accuracy_drop_ratio=space.max_accuracy_drop_ratio,
        budget_sec=budget_sec,
        spent_sec=0.0,
        seed=seed,
        stop="running",
        trials=tuple(
            SearchTrial(choices, space.lines(choices), "refused", sentence) for choices, sentence in refusals.items()
        ),
    )


def suggest(space: Space, trials: Sequence[SearchTrial], left: Collection[Choices], *, seed: int) -> Choices:
    """
    Return one of the combinations that are left; the same for the same trials and seed.

    The sampler may repeat itself; a few repetitions are passed over, then chance picks from what is left.
    """
    optuna = import_optuna()
    # A seed of its own for every step, so that nothing but the record decides.
    step_seed = random.Random(f"{seed} {len(trials)}").getrandbits(32)
    study = optuna.create_study(
        directions=["maximize"] * _AIMS_COUNT, sampler=optuna.samplers.TPESampler(seed=step_seed)
    )
    axes = {
        f"position {place}": optuna.distributions.CategoricalDistribution(tuple(range(len(alternatives))))
        for place, alternatives in enumerate(space.positions, start=1)
    }
    study.add_trials(
        _told(optuna, trial, axes, space.max_accuracy_drop_ratio) for trial in trials if trial.status != "refused"
    )
    for _ in range(_PATIENCE_COUNT):
        asked = study.ask(axes)
        choices = tuple(int(asked.params[name]) for name in axes)
        if choices in left:
            return choices
        study.tell(asked, state=optuna.trial.TrialState.FAIL)  # a repetition teaches nothing
    return random.Random(step_seed).choice(sorted(left))


def import_optuna() -> Any:
    """Return Optuna, which reports only warnings then; `SetupError` where it is not installed."""
    try:
        import optuna
    except ImportError:
        raise SetupError("a search needs Optuna, which is not installed; pip install optuna.") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _told(optuna: Any, trial: SearchTrial, axes: Mapping[str, Any], limit_ratio: float) -> Any:
    """Say a trial in the sampler's words: what it gains, and by how much it breaks the constraint (above zero)."""
    drop_ratio = _WORST_DROP_RATIO if trial.tuning_low_ratio is None else -trial.tuning_low_ratio
    return optuna.trial.create_trial(
        params=dict(zip(axes, trial.choices, strict=True)),
        distributions=dict(axes),
        # The values of what breaks the constraint are not looked at, but have to be numbers.
        values=trial.gains or (0.0,) * _AIMS_COUNT,
        constraints={"accuracy drop": 0.0 if trial.gains else max(drop_ratio - limit_ratio, _LEAST_BREACH_RATIO)},
    )


def _screened(space: Space, choices: Choices, screen: Screen) -> SearchTrial:
    try:
        return screen(choices)
    except (InterruptedRunError, SetupError):
        raise  # the next combination would not fare better
    except PerflibError as error:
        sentence = str(error)
    except Exception as error:  # noqa: BLE001 -- an engine may raise anything, and hours of search do not end with it
        sentence = f"{type(error).__name__}: {' '.join(str(error).split()) or 'without a word'}"
    return SearchTrial(choices, space.lines(choices), "failed", sentence)


def _with_finalists(space: Space, record: Search, *, stop: Literal["exhausted", "budget-spent"]) -> Search:
    finalists = choose_finalists(record.trials, record.front, count=space.finalists_count)
    trials = tuple(
        dataclasses.replace(trial, status="finalist") if place in finalists else trial
        for place, trial in enumerate(record.trials)
    )
    return dataclasses.replace(record, stop=stop, trials=trials, finalists=finalists)
