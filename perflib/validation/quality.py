"""
What changed between two models that answered the same questions.

Mean accuracy hides damage: two models can score alike and answer many single questions differently.
So flips are counted both ways, and "not worse by a point" is a test with a margin fixed beforehand,
not a difference that happens to look small.
"""

import dataclasses
import math
import statistics
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perflib.results import Interval, SliceResult
from perflib.validation.predictions import Paired

ONE_SIDED_LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Flips:
    """
    Paired counts over ``example_count`` examples.

    negative: baseline right, candidate wrong; positive: the other way; changed: any other label.
    """

    example_count: int
    negative_count: int
    positive_count: int
    changed_count: int

    @property
    def change_ratio(self) -> float:
        """Accuracy of the candidate minus that of the baseline."""
        return (self.positive_count - self.negative_count) / self.example_count

    @property
    def negative_ratio(self) -> float:
        """The negative flip rate."""
        return self.negative_count / self.example_count

    @property
    def flips_ratio(self) -> float:
        """The share of examples whose correctness changed, either way."""
        return (self.negative_count + self.positive_count) / self.example_count


def count_flips(paired: Paired, rows: NDArray[np.bool_] | None = None) -> Flips:
    """Count flips over all examples, or those that ``rows`` marks. An answer that is not finite is a wrong one."""
    keep = np.ones(len(paired), bool) if rows is None else rows
    labels = paired.labels[keep]
    baseline, candidate = answers(paired.baseline[keep]), answers(paired.candidate[keep])
    right_before, right_after = baseline == labels, candidate == labels
    return Flips(
        example_count=len(labels),
        negative_count=int(np.sum(right_before & ~right_after)),
        positive_count=int(np.sum(~right_before & right_after)),
        changed_count=int(np.sum(baseline != candidate)),
    )


def answers(probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the most probable class per example, -1 where a probability is not finite."""
    finite = np.isfinite(probabilities).all(axis=1)
    return np.where(finite, np.argmax(np.where(finite[:, None], probabilities, 0.0), axis=1), -1)


def accuracy_ratio(paired_labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> float:
    """Return the share of right answers."""
    return float(np.mean(answers(probabilities) == paired_labels))


def margins(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """
    Return best minus second-best probability per example, NaN where a probability is not finite.

    Args:
        probabilities: Shape (examples, classes), at least two classes.

    Example:
        >>> margins(np.array([[0.25, 0.75], [0.5, 0.5]])).tolist()
        [0.5, 0.0]
    """
    ranked = np.sort(probabilities.astype(np.float64), axis=1)
    is_finite = np.isfinite(probabilities).all(axis=1)
    # Infinity minus infinity would warn; what is not finite has no margin anyhow.
    apart: NDArray[np.float64] = np.full(len(ranked), np.nan)
    return np.subtract(ranked[:, -1], ranked[:, -2], out=apart, where=is_finite)


def tie_counts(paired: Paired, *, margin_ratio: float = 0.001) -> tuple[int, int]:
    """
    Count the flips where the baseline itself could hardly decide: rounding alone may turn such an answer.

    Args:
        paired: Both models' answers.
        margin_ratio: A tie is where the baseline's best two classes are less than this apart.

    Returns:
        Ties whose correctness changed, and those of them that the baseline had right.
    """
    flips = count_flips(paired, margins(paired.baseline) < margin_ratio)
    return flips.negative_count + flips.positive_count, flips.negative_count


def mcnemar_p(flips: Flips) -> float:
    """
    Return the exact two-sided p-value that negative and positive flips are equally likely; 1 without any flip.

    It is evidence of a difference, not of safety: few examples give a large p whatever the candidate is like.

    Example:
        >>> round(mcnemar_p(Flips(example_count=872, negative_count=9, positive_count=4, changed_count=13)), 3)
        0.267
    """
    from scipy import stats

    discordant_count = flips.negative_count + flips.positive_count
    return float(stats.binomtest(flips.negative_count, discordant_count).pvalue) if discordant_count else 1.0


def relative_negative_flip_ratio(flips: Flips, *, baseline_right_count: int) -> float | None:
    """
    Return the negative flip rate over what it would be if the two models erred independently of each other.

    That is the baseline's accuracy times the candidate's error (Yan et al., 2021). 0 means that the candidate is wrong
    only where the baseline is.

    Args:
        flips: The paired counts.
        baseline_right_count: How many of the same examples the baseline has right.

    Returns:
        The ratio; None where the baseline is never right or the candidate never wrong.

    Example:
        >>> flips = Flips(example_count=100, negative_count=4, positive_count=4, changed_count=8)
        >>> relative_negative_flip_ratio(flips, baseline_right_count=80)
        0.25
    """
    candidate_right_count = baseline_right_count - flips.negative_count + flips.positive_count
    expected = baseline_right_count * (flips.example_count - candidate_right_count)
    return flips.negative_count * flips.example_count / expected if expected else None


def wilson_interval(right_count: int, example_count: int, *, level: float = 0.95) -> Interval:
    """
    Return the two-sided Wilson score interval of a share.

    Example:
        >>> interval = wilson_interval(846, 1000)
        >>> round(interval.low, 3), round(interval.high, 3)
        (0.822, 0.867)
    """
    from scipy import stats

    bounds = stats.binomtest(right_count, example_count).proportion_ci(level, method="wilson")
    return Interval(right_count / example_count, float(bounds.low), float(bounds.high), level)


def tango_lower(
    negative_count: int, positive_count: int, example_count: int, *, level: float = ONE_SIDED_LEVEL
) -> float:
    """
    Return the one-sided lower bound of the accuracy change by Tango's score interval for paired shares.

    Tango, Statistics in Medicine 17 (1998) 891-908. The bound is the root below the estimate of Z(change) = z.

    Args:
        negative_count: Baseline right, candidate wrong.
        positive_count: Baseline wrong, candidate right.
        example_count: All pairs, at least one.
        level: Of the one-sided bound.

    Example:
        >>> [round(100 * tango_lower(9, 4, n), 2) for n in (872, 5000)]
        [-1.36, -0.24]
    """
    from scipy import optimize

    z = normal_quantile(level)
    estimate = (positive_count - negative_count) / example_count

    def excess(change: float) -> float:
        return _tango_z(change, negative_count, positive_count, example_count) - z

    below = estimate - 1e-9
    if below <= -1.0:
        return -1.0  # every answer was right and became wrong: there is nothing below
    if excess(below) > 0:
        return estimate
    return float(optimize.brentq(excess, -1.0 + 1e-12, below, xtol=1e-10))


def normal_quantile(level: float) -> float:
    """Return the quantile of the standard normal distribution."""
    return statistics.NormalDist().inv_cdf(level)


def _tango_z(change: float, negative_count: int, positive_count: int, example_count: int) -> float:
    n, b, c, shift = example_count, negative_count, positive_count, -change
    top = c - b - n * change
    a_term, c_term = 2.0 * n, -c * shift * (1.0 - shift)
    b_term = -b - c + (2.0 * n - b + c) * shift
    share = (math.sqrt(max(b_term**2 - 4.0 * a_term * c_term, 0.0)) - b_term) / (2.0 * a_term)
    variance = n * (2.0 * share + shift * (1.0 - shift))
    # No discordant pair and no change: 0/0, and there is no evidence of anything.
    return top / math.sqrt(variance) if variance > 0 else 0.0


def examples_needed(discordant_ratio: float, margin_ratio: float, *, power: float = 0.8) -> int:
    """
    Return how many examples prove non-inferiority, if the true change is zero.

    Args:
        discordant_ratio: Share of pairs in which exactly one model is right.
        margin_ratio: The margin.
        power: Wanted probability of proving it, one-sided 5 %.

    Example:
        >>> examples_needed(0.02, 0.01), examples_needed(0.05, 0.005)
        (1237, 12366)
    """
    z = normal_quantile(ONE_SIDED_LEVEL) + normal_quantile(power)
    return math.ceil(z**2 * discordant_ratio / margin_ratio**2)


def slice_results(paired: Paired, columns: Sequence[str]) -> tuple[SliceResult, ...]:
    """Return accuracy before and after for every value of the columns, in the order of their names."""
    found = []
    for column in columns:
        values = np.asarray(paired.slices[column])
        for value in sorted(set(paired.slices[column])):
            rows = values == value
            flips = count_flips(paired, rows)
            baseline_accuracy = wilson_interval(
                int(np.sum(answers(paired.baseline[rows]) == paired.labels[rows])), flips.example_count
            )
            found.append(
                SliceResult(
                    column=column,
                    value=value,
                    example_count=flips.example_count,
                    baseline_accuracy_ratio=baseline_accuracy.estimate,
                    baseline_low_ratio=baseline_accuracy.low or 0.0,
                    baseline_high_ratio=1.0 if baseline_accuracy.high is None else baseline_accuracy.high,
                    candidate_accuracy_ratio=accuracy_ratio(paired.labels[rows], paired.candidate[rows]),
                    change_ratio=flips.change_ratio,
                    change_low_ratio=tango_lower(flips.negative_count, flips.positive_count, flips.example_count),
                )
            )
    return tuple(found)
