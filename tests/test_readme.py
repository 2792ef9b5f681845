"""The README's own examples, run as they are written."""

import re
import sys
from pathlib import Path

import pytest
import yaml

from perflib import project
from perflib.compression.build import build_candidate
from perflib.compression.materials import Materials
from perflib.compression.stage import parse_recipe
from perflib.governance.evidence.verify import CODES
from perflib.params import ExperimentParams, RunParams
from perflib.validation.quality import accuracy_ratio
from perflib.workloads import get_workload

README = (project.root() / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write every Python block to the file that its first line names, and make them importable."""
    for block in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL):
        (tmp_path / block.splitlines()[0].removeprefix("# ")).write_text(block, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PERFLIB_CACHE_DIR", str(tmp_path / "cache"))
    yield tmp_path
    for name in ("my_tumours", "my_stages"):
        sys.modules.pop(name, None)


def test_the_examples_are_short() -> None:
    """An extension takes under 40 lines of code."""
    for block in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL):
        assert sum(bool(line.strip()) for line in block.splitlines()) < 40, block.splitlines()[0]


def test_a_workload_and_a_stage_of_ones_own_work_together(examples: Path) -> None:
    """The README's workload trains, and the README's stage turns its baseline into a sealed candidate."""
    workload = get_workload("my_tumours:Tumours")
    baseline = workload.prepare()
    splits = workload.splits()
    recipe = parse_recipe([{"my_stages:Sparse": {"share_ratio": 0.5}}])

    candidate, build = build_candidate(
        "sparse",
        recipe,
        parent=baseline,
        folder=examples / "sparse",
        materials=Materials(workload.encode(splits.calibration.inputs)),
    )

    assert build.proofs[0]["zero_share_ratio"] >= 0.5
    assert candidate.spec.lineage.parent_sha256 == baseline.digest
    assert accuracy_ratio(splits.test.labels, candidate.predict(workload.encode(splits.test.inputs))) > 0.8


def test_the_yaml_examples_are_accepted() -> None:
    """What the README shows of params files is what the library takes."""
    blocks = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    first, compressed, table = (yaml.safe_load(block) for block in blocks)

    assert [line.name for line in parse_recipe(compressed["recipe"])] == [
        *("distil", "vocabulary", "quantize", "engine"),
        "runtime",
    ]
    assert RunParams.model_validate(first).experiments == ["int8", "small-and-safe"]
    assert RunParams.model_validate({**first, **table}).workload is not None


def test_the_recipe_example_is_accepted(examples: Path) -> None:
    """The README's recipe line parses as an experiment."""
    line = re.search(r"`recipe: (\[.*\])`", README)
    assert line is not None
    recipe = yaml.safe_load(line[1])

    made = ExperimentParams(name="sparse", recipe=recipe, predicted_speedup_ratio=1.0, because="zeros cost as much")

    assert made.recipe == recipe


def test_the_exit_codes_are_those_of_the_command_line() -> None:
    """Every code of the README's tables is one that perflib uses: of its commands, and of the verifier."""
    codes = [
        int(code) for row in re.findall(r"^\| ([\d, ]+) \|", README, flags=re.MULTILINE) for code in row.split(",")
    ]

    assert codes == [0, 1, 2, 3, 4, 5, 130, 143, *sorted({1, *CODES})]
