"""What a recipe says without being built: its technique in words, its effort, and what it rests on."""

from collections.abc import Mapping, Sequence
from typing import Any

from perflib.errors import ParameterError
from perflib.records import sha256_json
from perflib.results.governance import PriceBook, Range

_WORDS = {
    "precision": "lower precision",
    "runtime": "serving",
    "engine": "other engine",
    "quantize": "quantisation",
    "prune": "pruning",
    "distil": "distillation",
    "vocabulary": "smaller vocabulary",
}
# Data, validation and the way to users are prepared once for a recipe, and not once for each of its stages.
LATER_STAGE_RATIO = 0.5
Recipe = Sequence[Mapping[str, Any]]


def stages(recipe: Recipe) -> tuple[str, ...]:
    """
    Return the names of a recipe's stages.

    Example:
        >>> stages([{"quantize": {"scheme": "int8-static"}}, {"runtime": {}}])
        ('quantize', 'runtime')
    """
    return tuple(str(next(iter(line), "")) for line in recipe)


def technique(recipe: Recipe) -> str:
    """
    Return a recipe's technique in words.

    Example:
        >>> technique([{"quantize": {}}, {"own:Stage": {}}])
        'quantisation, own:Stage'
    """
    return ", ".join(_WORDS.get(name, name) for name in stages(recipe))


def recipe_words(recipe: Recipe) -> str:
    """
    Return a recipe's stages with their options.

    Example:
        >>> recipe_words([{"quantize": {"scheme": "int8-static"}}, {"runtime": {"batch": 128, "threads": 1}}])
        'quantize (scheme int8-static), runtime (batch 128, threads 1)'
    """
    return ", ".join(f"{name}{_options(line[name])}" for line in recipe for name in line)


def effort_days(recipe: Recipe, book: PriceBook) -> Range:
    """
    Return the days of work that a recipe takes: the dearest stage in full, of every other one half.

    Ends are added up as if all stages went well or badly together, which errs on the side of caution.

    Raises:
        ParameterError: If the price book has neither the stage nor ``default``.
    """
    ranges = sorted((_of_stage(name, book) for name in stages(recipe) or ("default",)), key=lambda one: -one.p50)
    weights = [1.0] + [LATER_STAGE_RATIO] * (len(ranges) - 1)
    ends = zip(*((one.p10, one.p50, one.p90) for one in ranges), strict=True)
    low, middle, high = (sum(w * days for w, days in zip(weights, end, strict=True)) for end in ends)
    return Range(low, middle, high)


def rests_on(name: str, recipes: Mapping[str, Recipe], approved: Sequence[str]) -> tuple[str, ...]:
    """
    Return the approved candidates whose whole recipe is the beginning of this one's; only the longest beginnings.

    Args:
        name: Of the candidate.
        recipes: By candidate.
        approved: Those that others may rest on.
    """
    own = list(recipes.get(name, ()))
    shorter = {
        other: len(recipes[other])
        for other in approved
        if other in recipes
        and 0 < len(recipes[other]) < len(own)
        and is_same(recipes[other], own[: len(recipes[other])])
    }
    return tuple(sorted(other for other, count in shorter.items() if count == max(shorter.values())))


def is_same(one: Recipe, other: Recipe) -> bool:
    """Say whether two recipes have the same stages with the same options."""
    return digest(one) == digest(other)


def digest(recipe: Recipe) -> str:
    """Return what identifies a recipe."""
    return sha256_json([dict(line) for line in recipe])


def _options(options: Any) -> str:
    if not isinstance(options, Mapping) or not options:
        return ""
    return f" ({', '.join(f'{key} {value}' for key, value in options.items())})"


def _of_stage(name: str, book: PriceBook) -> Range:
    found = book.effort_days.get(name) or book.effort_days.get("default")
    if found is None:
        raise ParameterError(f"the price book has no effort for stage `{name}` and no `default`; add one of them.")
    return found
