"""
What became of the findings: each prediction beside the measured ratio of its experiment, and what that says.

A prediction is an orientation and no measurement, so it need not be hit; it is confirmed when at least half of what it
promised is sure. Ratios multiply, so half is taken on the log scale: the square root of the predicted ratio.

- Above 1 was predicted: **confirmed** if the interval lies at or above the root, **refuted** if it lies below it.
- No gain was predicted: **confirmed** if the interval ends below `NO_GAIN_RATIO`, **refuted** if it begins there.
- **undecided** where the interval holds the border or has no bounds, **not tried** without such a measurement.

    >>> verdict(2.0, Interval(1.8, 1.5, 2.1, 0.9)), verdict(1.0, Interval(0.9, 0.8, 1.0, 0.9))
    ('confirmed', 'confirmed')

What an experiment changes beside the finding is in its ratio too, so a refuted finding is surely wrong, and a confirmed
one is right about the experiment, perhaps for another reason.
"""

import math
from collections.abc import Mapping

from perflib.results import Comparison, Finding, FindingOutcome, Findings, Interval, Outcome

# Less than a twentieth is what a change of engine or a rounding of batches moves anyway.
NO_GAIN_RATIO = 1.05


def settle(findings: Findings, comparisons: Mapping[str, Comparison]) -> tuple[FindingOutcome, ...]:
    """
    Hold every finding against the comparison of its experiment.

    Args:
        findings: Of one artifact.
        comparisons: By the experiment's name. Those against another artifact than the one that was profiled tell
            nothing about its findings.

    Returns:
        One outcome a finding, in their order.
    """
    return tuple(_settled(finding, findings.artifact_sha256, comparisons) for finding in findings.findings)


def verdict(predicted_ratio: float, measured: Interval) -> Outcome:
    """Say what an interval makes of a predicted ratio."""
    if measured.low is None or measured.high is None:
        return "undecided"
    if predicted_ratio > 1:
        border_ratio = math.sqrt(predicted_ratio)
        is_right, is_wrong = measured.low >= border_ratio, measured.high < border_ratio
    else:
        is_right, is_wrong = measured.high < NO_GAIN_RATIO, measured.low >= NO_GAIN_RATIO
    return "confirmed" if is_right else "refuted" if is_wrong else "undecided"


def _settled(finding: Finding, artifact_sha256: str, comparisons: Mapping[str, Comparison]) -> FindingOutcome:
    comparison = comparisons.get(finding.experiment)
    if comparison is None or comparison.baseline_sha256 != artifact_sha256:
        return FindingOutcome(finding, None, "not tried")
    measured = next((one.speedup_ratio for one in comparison.scenarios if one.scenario == finding.scenario), None)
    if measured is None:
        return FindingOutcome(finding, None, "not tried")
    return FindingOutcome(finding, measured, verdict(finding.predicted_speedup_ratio, measured))
