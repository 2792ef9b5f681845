"""
Which combinations no other beats, and which of them are worth a full measurement.

    >>> dominates((2.0, 3.0), (2.0, 1.0)), dominates((2.0, 1.0), (1.0, 2.0))
    (True, False)
"""

from collections.abc import Sequence

from perflib.results import Candidate, SearchTrial

# Whose best goes first into the finals: places in `SearchTrial.gains`. Accuracy comes last, as it is a constraint too.
_TURNS = (1, 0, 2, 3)


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Say whether ``one`` is at least as good everywhere and better somewhere; more is better."""
    pairs = list(zip(one, other, strict=True))
    return all(mine >= theirs for mine, theirs in pairs) and any(mine > theirs for mine, theirs in pairs)


def pareto_front(trials: Sequence[SearchTrial]) -> tuple[int, ...]:
    """
    Return the places of the trials that no other dominates, in their order.

    Only trials that keep the constraint and were timed count. Estimates are compared as they are, noise and all: a
    screen is cheap, and who is on the front is measured again.
    """
    gains = {place: trial.gains for place, trial in enumerate(trials) if trial.gains is not None}
    return tuple(place for place, own in gains.items() if not any(dominates(other, own) for other in gains.values()))


def pareto_candidates(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Return the names of the approved candidates that no other approved one dominates, by the same four aims."""
    gains = {
        one.name: (
            one.single_p50_speedup_ratio.estimate,
            one.offline_throughput_speedup_ratio.estimate,
            1 / one.size_ratio,
            one.accuracy_change.estimate,
        )
        for one in candidates
        if one.verdict == "approved" and one.single_p50_speedup_ratio and one.offline_throughput_speedup_ratio
        if one.size_ratio and one.accuracy_change
    }
    return tuple(name for name, own in gains.items() if not any(dominates(other, own) for other in gains.values()))


def choose_finalists(trials: Sequence[SearchTrial], front: Sequence[int], *, count: int) -> tuple[int, ...]:
    """
    Choose from the front the best of each aim in turn: throughput, latency, size, accuracy, and again the next best.

    Args:
        trials: All trials.
        front: From `pareto_front`.
        count: How many at most.

    Returns:
        Places in ``trials``, in the order in which they were chosen.
    """
    chosen: list[int] = []
    left = list(front)
    while left and len(chosen) < count:
        aim = _TURNS[len(chosen) % len(_TURNS)]
        # Of equals, who is better in the next aims; at last the one tried first, which `max` keeps.
        best = max(left, key=lambda place: _ranked(trials[place], aim))
        chosen.append(best)
        left.remove(best)
    return tuple(chosen)


def _ranked(trial: SearchTrial, aim: int) -> tuple[float, ...]:
    gains = trial.gains
    assert gains is not None, trial.recipe
    return (gains[aim], *(gains[other] for other in _TURNS))
