"""Builds: nothing half-built is kept, a second run builds nothing, and what decides a result is in its key."""

import dataclasses
import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perflib import machine
from perflib.artifact import Artifact, ArtifactSpec, Runtime
from perflib.compression import build
from perflib.compression.build import build_candidate
from perflib.compression.materials import Labelled, Materials
from perflib.compression.precision import Precision
from perflib.compression.sources import source_modules
from perflib.compression.stage import parse_recipe
from perflib.errors import SetupError, StageError
from perflib.results import Build
from tests.tiny_artifact import make_inputs, write_artifact

MATERIALS = Materials(make_inputs(8))
WORKED: list[str] = []


@dataclasses.dataclass(frozen=True)
class Halve:
    """A stage of somebody else's package: bf16 under another name, with an option that makes it fail."""

    problem: str = ""

    def check(self, parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:
        """Refuse if told to."""
        if self.problem == "check":
            raise StageError("refused before any work")
        return dataclasses.replace(parent, precision="bf16")

    def apply(self, parent: Artifact, folder: Path, materials: Materials) -> tuple[Artifact, dict[str, Any]]:
        """Build, or fail as told."""
        WORKED.append("halve")
        if self.problem == "elsewhere":
            return parent, {}
        made, proof = Precision(even_if_emulated=True).apply(parent, folder, materials)
        if self.problem == "apply":
            raise StageError("failed in the middle")
        if self.problem == "disk":
            raise OSError(errno.ENOSPC, "No space left on device")
        return made, {"seen_count": len(materials.calibration), **proof}


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    WORKED.clear()


def build_it(folder: Path, recipe: list[Any], *, materials: Materials = MATERIALS, **settings: Any) -> Any:
    """Build a candidate called ``mine`` from the same tiny parent."""
    parent = write_artifact(folder / "parent")
    return build_candidate(
        "mine", parse_recipe(recipe), parent=parent, folder=folder / "mine", materials=materials, **settings
    )


def test_a_build_is_an_artifact_with_its_cost_and_its_proofs(tmp_path: Path) -> None:
    """One step per line, the one-time cost added up, and a record that survives its own JSON."""
    ticks = iter([10.0, 12.5, 20.0, 21.0])
    made, record = build_it(
        tmp_path, ["tests.test_build:Halve", {"runtime": {"batching": "sorted"}}], clock=lambda: next(ticks)
    )

    assert made.folder == tmp_path / "mine"
    assert (made.spec.precision, made.spec.runtime.batching) == ("bf16", "sorted")
    assert [(step.stage, step.build_sec, step.is_cached) for step in record.steps] == [
        ("tests.test_build:Halve", 2.5, False),
        ("runtime", 1.0, False),
    ]
    assert record.build_sec == 3.5
    assert record.proofs[0]["seen_count"] == 8
    assert record.steps[-1].artifact_sha256 == record.artifact_sha256 == made.digest
    assert record.size_bytes < 0.6 * record.parent_size_bytes
    assert Build.from_dict(record.to_dict()) == record
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "parent"]


def test_a_second_run_builds_nothing_and_says_the_same(tmp_path: Path) -> None:
    """The artifact, its one-time cost and its proofs come from the cache."""
    first, before = build_it(tmp_path, ["tests.test_build:Halve"], cache=tmp_path / "cache")
    second, after = build_it(
        tmp_path, ["tests.test_build:Halve"], cache=tmp_path / "cache", clock=lambda: pytest.fail("built")
    )

    assert WORKED == ["halve"]
    assert second.digest == first.digest
    assert (after.steps[0].is_cached, after.build_sec, after.proofs) == (True, before.build_sec, before.proofs)


def test_recipes_that_begin_alike_share_their_beginning(tmp_path: Path) -> None:
    """Only what differs is built."""
    build_it(tmp_path, ["tests.test_build:Halve"], cache=tmp_path / "cache")
    _, record = build_it(tmp_path, ["tests.test_build:Halve", "runtime"], cache=tmp_path / "cache")

    assert [step.is_cached for step in record.steps] == [True, False]
    assert WORKED == ["halve"]


@pytest.mark.parametrize("change", ["options", "seed", "tuning", "versions", "isa_flags", "source", "parent"])
def test_whatever_decides_a_result_is_in_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """Another option, seed, split, engine version, instruction set, source or parent is another build."""
    (line,) = parse_recipe(["tests.test_build:Halve"])
    parent, materials, card = write_artifact(tmp_path / "parent"), MATERIALS, machine.read_card()
    before = build._key(line, parent, materials)
    if change == "options":
        (line,) = parse_recipe([{"tests.test_build:Halve": {"problem": "apply"}}])
    elif change == "seed":
        materials = dataclasses.replace(materials, seed=1)
    elif change == "tuning":
        materials = dataclasses.replace(materials, tuning=Labelled(make_inputs(2), np.array([0, 1])))
    elif change == "source":
        monkeypatch.setattr(build, "source_sha256", lambda kind: "another")
    elif change == "parent":
        parent = write_artifact(tmp_path / "other", runtime=Runtime(thread_count=2))
    else:
        other = {"versions": {"torch": "99"}, "isa_flags": ("sse",)}[change]
        monkeypatch.setattr(machine, "read_card", lambda: dataclasses.replace(card, **{change: other}))

    assert build._key(line, parent, materials) != before


def test_a_changed_file_that_a_stage_names_is_another_build(tmp_path: Path) -> None:
    """The path stays the same where the content does not."""
    text = tmp_path / "more.txt"
    keys = []
    for content in ("one\n", "two\n"):
        text.write_text(content)
        (line,) = parse_recipe([{"distil": {"layers": 1, "unlabelled": str(text)}}])
        keys.append(build._key(line, write_artifact(tmp_path / "parent"), MATERIALS))

    assert keys[0] != keys[1]


def test_a_build_in_the_cache_that_was_altered_is_built_again(tmp_path: Path) -> None:
    """A changed byte never reaches a run."""
    made, _ = build_it(tmp_path, ["tests.test_build:Halve"], cache=tmp_path / "cache")
    (weights,) = (tmp_path / "cache").rglob("*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.unlink()  # it may be linked to the candidate's own file
    weights.write_bytes(content)

    again, record = build_it(tmp_path, ["tests.test_build:Halve"], cache=tmp_path / "cache")

    assert again.digest == made.digest
    assert not record.steps[0].is_cached
    assert WORKED == ["halve", "halve"]


@pytest.mark.parametrize("has_cache", [True, False])
@pytest.mark.parametrize("problem", ["check", "apply", "elsewhere", "disk"])
def test_a_failed_build_leaves_nothing_behind_and_keeps_the_old_one(
    tmp_path: Path, problem: str, has_cache: bool
) -> None:
    """The parent and an earlier artifact of the same name stay as they were; no temporary folder remains."""
    cache = tmp_path / "cache" if has_cache else None
    old, _ = build_it(tmp_path, ["tests.test_build:Halve"], cache=cache)
    before = {path for path in tmp_path.rglob("*") if not path.name.endswith(".lock")}
    with pytest.raises((StageError, SetupError)) as caught:
        build_it(tmp_path, [{"tests.test_build:Halve": {"problem": problem}}], cache=cache)

    assert {path for path in tmp_path.rglob("*") if not path.name.endswith(".lock")} == before
    assert Artifact.load(tmp_path / "mine").digest == old.digest
    if problem == "disk":
        assert "cannot be written (No space left on device); free space" in str(caught.value)


def test_a_stage_that_refuses_stops_all_stages(tmp_path: Path) -> None:
    """The whole recipe is checked before its first line does any work."""
    with pytest.raises(StageError, match="line 2 of the recipe: refused before any work"):
        build_it(tmp_path, ["tests.test_build:Halve", {"tests.test_build:Halve": {"problem": "check"}}])

    assert WORKED == []


def test_a_full_disk_under_the_candidate_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step, from cache to run, fails as clearly as the others and leaves no folder."""

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    build_it(tmp_path, ["tests.test_build:Halve"], cache=tmp_path / "cache")
    monkeypatch.setattr("perflib.artifact.link_or_copy", full)
    with pytest.raises(SetupError, match=r"mine cannot be written \(No space left on device\); free space"):
        build_it(tmp_path, ["tests.test_build:Halve"], cache=tmp_path / "cache")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "mine", "parent"]


def test_the_source_of_a_stage_is_what_can_change_its_result() -> None:
    """Its own file, its engine and its architecture count; figures, records and the order of building do not."""
    found = source_modules("perflib.compression.precision")

    assert {"perflib.compression.precision", "perflib.engines.torch_engine"} <= set(found)
    assert not {
        name for name in found if name.startswith(("perflib.plots", "perflib.records", "perflib.compression.build"))
    }
    assert source_modules("tests.test_build")[-1] == "tests.test_build"
    assert "perflib.compression.converters.openvino" in source_modules("perflib.compression.engine")
    assert "perflib.compression.quantizers.onnxruntime" in source_modules("perflib.compression.quantize")
