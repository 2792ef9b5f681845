"""
The space of a search: for every position of a recipe the alternatives, read strictly and checked before any work.

    space:
      - [none, {precision: {dtype: bf16}}]
      - [{runtime: {batching: as-given}}, {runtime: {batching: sorted}}]
    constraints: {max_accuracy_drop_ratio: 0.01}
    finalists: 3

``none`` leaves a position out. A combination of nothing but ``none`` is the baseline itself and is left out.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from perflib.artifact import ArtifactSpec
from perflib.compression.materials import Materials
from perflib.compression.stage import Ingredient, check_recipe, parse_recipe
from perflib.errors import ParameterError, SetupError, StageError, did_you_mean
from perflib.plain_yaml import read_yaml
from perflib.records import dumps, sha256_json

NONE = "none"
MAX_FINALISTS_COUNT = 5
# All of them are checked before the first is built; no budget screens so many.
MAX_COMBINATIONS_COUNT = 2000

# The place of the alternative taken at every position.
Choices = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Space:
    """
    What may be combined, what has to hold, and how many combinations may meet the test split.

    ``positions`` has the alternatives of each position in the order of the file, None for ``none``.
    ``max_accuracy_drop_ratio`` bounds the drop on tuning: the one-sided bound of the paired change has to stay above
    minus this share. ``guardrail_profile`` is what finalists are judged by.
    """

    positions: tuple[tuple[Ingredient | None, ...], ...]
    max_accuracy_drop_ratio: float
    finalists_count: int
    guardrail_profile: str

    @functools.cached_property
    def combinations(self) -> tuple[Choices, ...]:
        """Every combination but the one that is the baseline itself, in the order of the file."""
        every = itertools.product(*(range(len(alternatives)) for alternatives in self.positions))
        return tuple(choices for choices in every if self.recipe(choices))

    def recipe(self, choices: Choices) -> tuple[Ingredient, ...]:
        """Return the recipe of a combination, without the positions that it leaves out."""
        taken = [alternatives[place] for alternatives, place in zip(self.positions, choices, strict=True)]
        return tuple(line for line in taken if line is not None)

    def lines(self, choices: Choices) -> tuple[dict[str, Any], ...]:
        """Return the recipe of a combination as it stands in YAML."""
        return tuple(line.to_dict() for line in self.recipe(choices))

    def refusals(self, parent: ArtifactSpec, materials: Materials) -> dict[Choices, str]:
        """Return why a stage refuses a combination, for those that one refuses, or that need what is not installed."""
        refused = {}
        for choices in self.combinations:
            try:
                check_recipe(self.recipe(choices), parent, materials)
            except (StageError, SetupError) as error:
                refused[choices] = str(error)
        return refused

    def digest(self) -> str:
        """Return a sha256 over all that decides what a search does with this space."""
        positions = [[line and line.to_dict() for line in alternatives] for alternatives in self.positions]
        return sha256_json([positions, self.max_accuracy_drop_ratio, self.finalists_count, self.guardrail_profile])


class _Constraints(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    max_accuracy_drop_ratio: float = Field(gt=0, lt=1)


class _SpaceFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    space: list[list[Any]] = Field(min_length=1)
    constraints: _Constraints
    finalists: int = Field(3, ge=1, le=MAX_FINALISTS_COUNT)
    guardrail_profile: str = "lossy"

    @field_validator("space")
    @classmethod
    def _alternatives_differ(cls, space: list[list[Any]]) -> list[list[Any]]:
        for place, alternatives in enumerate(space, start=1):
            if not alternatives:
                raise ParameterError(f"position {place} has no alternative; write at least one, or leave it out.")
            written = [_canonical(line) for line in alternatives]
            for one in written:
                if written.count(one) > 1:
                    raise ParameterError(f"position {place} has {one} more than once; write every alternative once.")
        return space


def read_space(path: Path) -> Space:
    """
    Read a space file.

    Raises:
        ParameterError: If it is no such file, names an unknown stage or option, or has too many combinations or none.
    """
    document = read_yaml(path)
    for key in document:
        if key not in _SpaceFile.model_fields:
            raise ParameterError(f"`{key}` is no key of {path}; {did_you_mean(key, _SpaceFile.model_fields)}")
    try:
        asked = _SpaceFile.model_validate(document)
        space = Space(
            positions=tuple(tuple(_alternative(line) for line in alternatives) for alternatives in asked.space),
            max_accuracy_drop_ratio=asked.constraints.max_accuracy_drop_ratio,
            finalists_count=asked.finalists,
            guardrail_profile=asked.guardrail_profile,
        )
    except ValidationError as error:
        raise ParameterError(_first_problem(error, path)) from error
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from error
    _check_count(space, path)
    return space


def _check_count(space: Space, path: Path) -> None:
    count = math.prod(len(alternatives) for alternatives in space.positions)
    if count > MAX_COMBINATIONS_COUNT:
        raise ParameterError(
            f"{path} has {count:,} combinations where a search takes {MAX_COMBINATIONS_COUNT:,}; "
            "leave out alternatives that you expect little of."
        )
    if not space.combinations:
        raise ParameterError(f"{path} has no combination but the baseline itself; write a stage beside `{NONE}`.")


def _alternative(line: Any) -> Ingredient | None:
    return None if line == NONE else parse_recipe([line])[0]


def _canonical(line: Any) -> str:
    """Write an alternative the same way however it stands in the file: `quantize` is `{quantize: {}}`."""
    if isinstance(line, str):
        return line
    if isinstance(line, Mapping) and len(line) == 1 and not next(iter(line.values())):
        return str(next(iter(line)))
    return dumps(line)


def _first_problem(error: ValidationError, path: Path) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{path} lacks `{where}`; add it, as in params/spaces/tiny.yaml."
    return f"`{where}` in {path} is {first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}."
