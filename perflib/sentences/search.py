"""What a search tried, why it ended, and what its finalists came to on the test split."""

from collections.abc import Mapping, Sequence
from typing import Any

from perflib import units
from perflib.results import FinalistCheck, Search


def search_sentences(record: Search) -> list[str]:
    """Say how far the search came, and one sentence for every finalist, the first chosen first."""
    counts = {
        word: sum(trial.status == word for trial in record.trials) for word in ("refused", "failed", "infeasible")
    }
    screened_count = sum(trial.gains is not None for trial in record.trials)
    ended = {
        "exhausted": "and the space is exhausted",
        "budget-spent": "and then the budget was spent",
        "running": "and it is not at its end",
    }[record.stop]
    lines = [
        f"Of {record.combination_count} combinations {screened_count} were screened, {counts['infeasible']} broke the "
        f"constraint of {units.points(-record.max_accuracy_drop_ratio)} on the tuning split, {counts['refused']} were "
        f"refused and {counts['failed']} failed, {ended} ({units.duration(record.spent_sec)})."
    ]
    return [*lines, *(_check_sentence(check, record) for check in record.checks)]


def recipe_words(recipe: Sequence[Mapping[str, Any]]) -> str:
    """
    Write a recipe in few words: every stage with the values of its options.

    Example:
        >>> recipe_words([{"quantize": {"scheme": "int8-static"}}, {"vocabulary": {}}, {"distil": {"layers": 3}}])
        'quantize int8-static, vocabulary, distil layers 3'
    """
    return ", ".join(
        " ".join([stage, *(value if isinstance(value, str) else f"{name} {value}" for name, value in options.items())])
        for line in recipe
        for stage, options in line.items()
    )


def _check_sentence(check: FinalistCheck, record: Search) -> str:
    speeds = ", ".join(
        f"{units.speedup(one.speedup_ratio.estimate, one.speedup_ratio.low, one.speedup_ratio.high)} {one.scenario}"
        for one in check.scenarios
    )
    kept = "keeps the accuracy" if check.is_non_inferior else "is not shown to keep the accuracy"
    return (
        f"{check.name} ({recipe_words(record.trials[check.trial_index].recipe)}): {speeds}; accuracy "
        f"{units.points(check.test_change_ratio)}, at worst {units.points(check.test_low_ratio)} on "
        f"{check.example_count:,} test examples; it {kept}; guardrails: {check.gate_verdict}."
    )
