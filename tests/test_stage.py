"""Stages: recipes are checked as a whole, nothing is left behind, and bf16 proves what it did."""

import dataclasses
import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_artifact import LINEARS_COUNT, make_inputs, write_artifact

from perflib.artifact import Artifact, ArtifactSpec
from perflib.compression import bf16
from perflib.compression.bf16 import Bf16
from perflib.compression.int8 import Int8
from perflib.compression.stage import Materials, build_candidate, parse_recipe
from perflib.engines.torch_engine import load_module
from perflib.errors import ParameterError, StageError
from perflib.results import Build

MATERIALS = Materials(make_inputs(8))


@dataclasses.dataclass(frozen=True)
class Halve:
    """A stage of somebody else's package: bf16 under another name, with an option that makes it fail."""

    problem: str = ""
    done: tuple[str, ...] = ()

    def check(self, parent: ArtifactSpec) -> None:
        """Refuse if told to."""
        if self.problem == "check":
            raise StageError("refused before any work")

    def apply(self, parent: Artifact, folder: Path, materials: Materials) -> tuple[Artifact, dict[str, Any]]:
        """Build, or fail as told."""
        if self.problem == "elsewhere":
            return parent, {}
        made, proof = Bf16().apply(parent, folder, materials)
        if self.problem == "apply":
            raise StageError("failed in the middle")
        return made, {"seen": len(materials.calibration), **proof}


@dataclasses.dataclass
class NoStage:
    """A dataclass that is no stage."""


class NoDataclass:
    """A stage in all but its options."""

    def check(self, parent: ArtifactSpec) -> None:
        """Take any parent."""

    def apply(self, parent: Artifact, folder: Path, materials: Materials) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["int9"], "stage `int9` is not known; did you mean `int8`"),
        (["zebra"], "known are: bf16, int8"),
        ([{"int8": {"calibration_count": 3}}], "`calibration_count` is not an option of stage `int8`; did you mean"),
        ([{"int8": {1: 3}}], "`1` is not an option of stage `int8`"),
        ([{"bf16": {"level": 1}}], "`level` is not an option of stage `bf16`; known are: none"),
        ([{"int8": {"calibration_example_count": "many"}}], r"option `calibration_example_count` .*'many'"),
        ([{"int8": {"calibration_example_count": 2.5}}], "option `calibration_example_count`"),
        ([{"int8": {"calibration_example_count": None}}], "option `calibration_example_count`"),
        ([{"int8": [3]}], r"the options of stage `int8` are \[3\]; write them as"),
        ([{"int8": {}, "bf16": {}}], "is not one stage with its options"),
        ([{}], "is not one stage"),
        ([None], "is not one stage"),
        ([["int8"]], "is not one stage"),
        ([], "write a list of stages"),
        ("int8", "write a list of stages"),
        ({"int8": {}}, "write a list of stages"),
        (None, "write a list of stages"),
        (["os:system"], "stage `os:system` is no dataclass"),
        (["test_stage:NoStage"], "is no dataclass with `check` and `apply`"),
        (["test_stage:NoDataclass"], "is no dataclass with `check` and `apply`"),
        (["test_stage:Nowhere"], "cannot be imported"),
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
    bare, given = parse_recipe(["bf16", {"int8": {"calibration_example_count": 7}}])

    assert (bare.stage, bare.to_dict()) == (Bf16(), {"bf16": {}})
    assert (given.stage, given.to_dict()) == (Int8(7), {"int8": {"calibration_example_count": 7}})


def test_an_own_stage_is_found_by_module_and_class() -> None:
    """Anybody's dataclass with the two methods will do."""
    (line,) = parse_recipe([{"test_stage:Halve": {"problem": "check"}}])

    assert (type(line.stage).__name__, line.options) == ("Halve", {"problem": "check"})


def test_an_own_stage_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package adds a word to recipes, which is also suggested."""
    point = importlib.metadata.EntryPoint("halve", "test_stage:Halve", "perflib.stages")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point] if group == "perflib.stages" else [])

    assert type(parse_recipe(["halve"])[0].stage).__name__ == "Halve"
    with pytest.raises(ParameterError, match="did you mean `halve`"):
        parse_recipe(["halfe"])


def test_bf16_casts_every_linear_layer_and_keeps_the_answers(tmp_path: Path) -> None:
    """Half the bytes, all linear layers in bfloat16, answers close to the parent's, and a lineage that says so."""
    parent = write_artifact(tmp_path / "parent")
    ticks = iter([10.0, 12.5])
    made, record = build_candidate(
        "bf16",
        parse_recipe(["bf16"]),
        parent=parent,
        folder=tmp_path / "made",
        materials=MATERIALS,
        clock=lambda: next(ticks),
    )

    assert made.folder == tmp_path / "made"
    assert (made.spec.engine, made.spec.precision) == ("torch", "bf16")
    assert made.spec.lineage.parent_sha256 == parent.digest
    assert made.spec.lineage.recipe == ({"bf16": {}},)
    assert record.proofs == ({"stage": "bf16", "linear_layer_count": LINEARS_COUNT, "low_precision_share_ratio": 1.0},)
    assert record.size_bytes < 0.6 * record.parent_size_bytes
    assert record.build_sec == 2.5
    assert (record.artifact_sha256, record.parent_sha256) == (made.digest, parent.digest)
    assert Build.from_dict(record.to_dict()) == record
    np.testing.assert_allclose(made.predict(make_inputs()), parent.predict(make_inputs()), atol=0.01)


def test_bf16_refuses_another_parent(tmp_path: Path) -> None:
    """A second cast is an error of the recipe, and the first one is not kept."""
    with pytest.raises(StageError, match="takes a torch fp32 artifact, but its parent is torch bf16; put it first"):
        build_candidate(
            "twice",
            parse_recipe(["bf16", "bf16"]),
            parent=write_artifact(tmp_path / "parent"),
            folder=tmp_path / "made",
            materials=MATERIALS,
        )

    assert [path.name for path in tmp_path.iterdir()] == ["parent"]


def test_bf16_proves_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If one linear layer stayed fp32, the stage fails."""

    def half_cast(folder: Path, spec: ArtifactSpec) -> torch.nn.Module:
        module = load_module(folder, spec)
        module.head.float()  # type: ignore[union-attr]
        return module

    made, _ = Bf16().apply(write_artifact(tmp_path / "parent"), tmp_path / "made", MATERIALS)
    monkeypatch.setattr("perflib.engines.torch_engine.load_module", half_cast)

    with pytest.raises(StageError, match=f"{LINEARS_COUNT - 1} of {LINEARS_COUNT} linear layers are bfloat16"):
        bf16.prove_bf16(made)


@pytest.mark.parametrize("problem", ["check", "apply", "elsewhere"])
def test_a_failed_build_leaves_nothing_behind_and_keeps_the_old_one(tmp_path: Path, problem: str) -> None:
    """The parent and an earlier artifact of the same name stay as they were; no temporary folder remains."""
    parent = write_artifact(tmp_path / "parent")
    old, _ = build_candidate(
        "mine", parse_recipe(["bf16"]), parent=parent, folder=tmp_path / "mine", materials=MATERIALS
    )
    with pytest.raises(StageError):
        build_candidate(
            "mine",
            parse_recipe([{"test_stage:Halve": {"problem": problem}}]),
            parent=parent,
            folder=tmp_path / "mine",
            materials=MATERIALS,
        )

    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "parent"]
    assert Artifact.load(tmp_path / "mine").digest == old.digest
    assert Artifact.load(tmp_path / "parent").digest == parent.digest


def test_a_stage_that_refuses_does_no_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` comes before `apply`."""
    monkeypatch.setattr(Halve, "apply", lambda *args: pytest.fail("it worked"))
    monkeypatch.setattr(Halve, "check", lambda *args: (_ for _ in ()).throw(StageError("no")))
    with pytest.raises(StageError, match="no"):
        build_candidate(
            "mine",
            parse_recipe(["test_stage:Halve"]),
            parent=write_artifact(tmp_path / "parent"),
            folder=tmp_path / "mine",
            materials=MATERIALS,
        )


def test_a_new_build_replaces_the_old_one(tmp_path: Path) -> None:
    """The folder holds the last success, and the proof of an own stage is in the record."""
    parent = write_artifact(tmp_path / "parent")
    for recipe in (["bf16"], ["test_stage:Halve"]):
        made, record = build_candidate(
            "mine", parse_recipe(recipe), parent=parent, folder=tmp_path / "mine", materials=MATERIALS
        )

    assert record.proofs[0]["seen"] == 8
    assert Artifact.load(tmp_path / "mine").digest == made.digest == record.artifact_sha256
