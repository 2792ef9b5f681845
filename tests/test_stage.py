"""Recipes: read and checked as a whole, before any work."""

import dataclasses
import importlib.metadata
from pathlib import Path
from typing import Any

import pytest

from perflib.artifact import Artifact, ArtifactSpec
from perflib.compression.materials import Materials
from perflib.compression.precision import Precision
from perflib.compression.quantize import Quantize
from perflib.compression.stage import check_recipe, parse_recipe
from perflib.errors import ParameterError, StageError
from tests.tiny_artifact import make_inputs, write_artifact

MATERIALS = Materials(make_inputs(8))


@dataclasses.dataclass(frozen=True)
class Halve:
    """A stage of somebody else's package."""

    problem: str = ""

    def check(self, parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:
        """Refuse if told to."""
        if self.problem:
            raise StageError(self.problem)
        return dataclasses.replace(parent, engine="half")

    def apply(self, parent: Artifact, folder: Path, materials: Materials) -> tuple[Artifact, dict[str, Any]]:
        """Never get here."""
        raise AssertionError("a check does no work")


@dataclasses.dataclass
class NoStage:
    """A dataclass that is no stage."""


class NoDataclass:
    """A stage in all but its options."""

    def check(self, parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:
        """Take any parent."""
        return parent

    def apply(self, parent: Artifact, folder: Path, materials: Materials) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["quantise"], "stage `quantise` is not known; did you mean `quantize`"),
        (["zebra"], "known are: distil, engine, precision, prune, quantize, runtime, vocabulary"),
        (
            [{"quantize": {"calibration_example": 3}}],
            "`calibration_example` is not an option of stage `quantize`; did you",
        ),
        ([{"quantize": {1: 3}}], "`1` is not an option of stage `quantize`"),
        ([{"precision": {"level": 1}}], "`level` is not an option of stage `precision`; known are: dtype, even_if"),
        ([{"quantize": {"calibration_examples": "many"}}], r"option `calibration_examples` .*'many'"),
        ([{"quantize": {"calibration_examples": 2.5}}], "option `calibration_examples`"),
        ([{"precision": {"dtype": "fp8"}}], "option `dtype` of stage `precision`"),
        ([{"quantize": [3]}], r"the options of stage `quantize` are \[3\]; write them as"),
        ([{"quantize": {}, "precision": {}}], "is not one stage with its options"),
        ([{}], "is not one stage"),
        ([None], "is not one stage"),
        ([["quantize"]], "is not one stage"),
        ([], "write a list of stages"),
        ("quantize", "write a list of stages"),
        ({"quantize": {}}, "write a list of stages"),
        (None, "write a list of stages"),
        (["os:system"], "stage `os:system` is no dataclass"),
        (["tests.test_stage:NoStage"], "is no dataclass with `check` and `apply`"),
        (["tests.test_stage:NoDataclass"], "is no dataclass with `check` and `apply`"),
        (["tests.test_stage:Nowhere"], "cannot be imported"),
        (["no.such.module:Stage"], "cannot be imported"),
        ([":Stage"], "cannot be imported"),
        (["..stage:Stage"], "cannot be imported"),
    ],
)
def test_a_wrong_recipe_is_refused_in_one_sentence(lines: Any, said: str) -> None:
    """The sentence names the stage or the option, and what was meant where that can be guessed."""
    with pytest.raises(ParameterError, match=said) as caught:
        parse_recipe(lines)

    assert str(caught.value).isprintable()


def test_a_recipe_is_read_back_as_it_was_written() -> None:
    """A bare name is a stage with its defaults."""
    bare, given = parse_recipe(["precision", {"quantize": {"calibration_examples": 7}}])

    assert (bare.stage, bare.to_dict()) == (Precision(), {"precision": {}})
    assert (given.stage, given.to_dict()) == (
        Quantize(calibration_examples=7),
        {"quantize": {"calibration_examples": 7}},
    )


def test_an_own_stage_is_found_by_module_and_class() -> None:
    """Anybody's dataclass with the two methods will do."""
    (line,) = parse_recipe([{"tests.test_stage:Halve": {"problem": "no"}}])

    assert (type(line.stage).__name__, line.options) == ("Halve", {"problem": "no"})


def test_an_own_stage_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package adds a word to recipes, which is also suggested."""
    point = importlib.metadata.EntryPoint("halve", "tests.test_stage:Halve", "perflib.stages")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point] if group == "perflib.stages" else [])

    assert type(parse_recipe(["halve"])[0].stage).__name__ == "Halve"
    with pytest.raises(ParameterError, match="did you mean `halve`"):
        parse_recipe(["halfe"])


def test_every_stage_is_checked_against_what_the_ones_before_it_will_make(tmp_path: Path) -> None:
    """The spec that comes out is the last stage's, and no stage has worked."""
    parent = write_artifact(tmp_path).spec
    recipe = parse_recipe(["precision", {"runtime": {"batching": "sorted", "batch": 8}}, "tests.test_stage:Halve"])

    made = check_recipe(recipe, parent, MATERIALS)

    assert (made.precision, made.engine, made.runtime.batching, made.runtime.batch_example_count) == (
        *("bf16", "half", "sorted"),
        8,
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["precision", "precision"],
            r"line 2 of the recipe: stage `precision` takes a torch fp32 artifact, .* torch bf16",
        ),
        (["tests.test_stage:Halve", "precision"], "line 2 of the recipe: .* what comes to it is half fp32"),
        (["precision", {"tests.test_stage:Halve": {"problem": "not today."}}], "line 2 of the recipe: not today."),
        ([{"quantize": {"calibration_examples": 9}}], "asks for 9 calibration examples where .* has 8"),
        ([{"quantize": {"calibration_examples": 0}}], "asks for 0 calibration examples"),
    ],
)
def test_an_impossible_recipe_is_refused_with_the_place_of_the_mistake(
    tmp_path: Path, lines: list[Any], said: str
) -> None:
    """A second cast, a conversion before a cast, an own stage's word, and more examples than there are."""
    with pytest.raises(StageError, match=said):
        check_recipe(parse_recipe(lines), write_artifact(tmp_path).spec, MATERIALS)
