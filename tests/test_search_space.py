"""The space of a search: read strictly, every combination known and checked before any work."""

import json
from pathlib import Path
from typing import Any

import pytest

from perflib import project
from perflib.compression.materials import Materials
from perflib.errors import ParameterError
from perflib.search.space import MAX_COMBINATIONS_COUNT, Space, read_space
from tests.tiny_artifact import make_inputs, write_artifact

BF16 = {"precision": {"dtype": "bf16", "even_if_emulated": True}}
SORTED = {"runtime": {"batching": "sorted"}}
GOOD: dict[str, Any] = {
    "space": [["none", BF16], ["none", "runtime", SORTED]],
    "constraints": {"max_accuracy_drop_ratio": 0.01},
    "finalists": 2,
}


def written(folder: Path, **change: Any) -> Path:
    """Write a space file that differs from a good one; None takes a key away."""
    document = {key: value for key, value in (GOOD | change).items() if value is not None}
    path = folder / "space.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML, without anchors
    return path


def read(folder: Path, **change: Any) -> Space:
    """Read what `written` writes."""
    return read_space(written(folder, **change))


def test_every_combination_is_there_but_the_baseline(tmp_path: Path) -> None:
    """In the order of the file, and nothing but `none` is no candidate."""
    space = read(tmp_path)

    assert space.combinations == ((0, 1), (0, 2), (1, 0), (1, 1), (1, 2))
    assert [space.lines(choices) for choices in space.combinations] == [
        ({"runtime": {}},),
        (SORTED,),
        (BF16,),
        (BF16, {"runtime": {}}),
        (BF16, SORTED),
    ]
    assert (space.max_accuracy_drop_ratio, space.finalists_count, space.guardrail_profile) == (0.01, 2, "lossy")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"spaces": []}, "did you mean `space`?"),
        ({"space": None}, "lacks `space`"),
        ({"space": []}, "`space` in"),
        ({"space": [["none"], []]}, "position 2 has no alternative"),
        ({"space": [["none", SORTED, SORTED]]}, "position 1 has"),
        ({"space": [["runtime", {"runtime": {}}]]}, "position 1 has runtime more than once"),
        ({"space": [["none"], ["none"]]}, "no combination but the baseline"),
        ({"space": [["none", {"quantise": {}}]]}, "did you mean `quantize`?"),
        ({"space": [["none", {"runtime": {"batchin": "sorted"}}]]}, "did you mean `batching`?"),
        ({"space": [["none", {"runtime": {"batch": "many"}}]]}, "option `batch`"),
        ({"constraints": None}, "lacks `constraints`"),
        ({"constraints": {"max_accuracy_drop_ratio": 0.0}}, "`constraints.max_accuracy_drop_ratio`"),
        ({"constraints": {"max_accuracy_drop_ratio": 1.0}}, "`constraints.max_accuracy_drop_ratio`"),
        ({"constraints": {"max_latency_sec": 1.0, "max_accuracy_drop_ratio": 0.1}}, "max_latency_sec"),
        ({"finalists": 0}, "`finalists`"),
        ({"finalists": 6}, "`finalists`"),
        ({"finalists": "3"}, "`finalists`"),
    ],
)
def test_a_wrong_space_is_one_sentence(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """It names what is wrong and what to write."""
    with pytest.raises(ParameterError) as refused:
        read(tmp_path, **change)

    assert said in str(refused.value)
    assert str(refused.value).endswith((".", "?"))


@pytest.mark.parametrize("count", [1, 5])
def test_one_to_five_may_meet_the_test_split(tmp_path: Path, count: int) -> None:
    """Both borders are allowed."""
    assert read(tmp_path, finalists=count).finalists_count == count


def test_more_combinations_than_can_be_checked_are_refused(tmp_path: Path) -> None:
    """The border itself is allowed."""
    batches = [{"runtime": {"batch": count}} for count in range(1, MAX_COMBINATIONS_COUNT // 4 + 1)]
    fours = [{"runtime": {"batching": "token-budget", "tokens": count}} for count in range(1, 5)]

    assert len(read(tmp_path, space=[batches, fours]).combinations) == MAX_COMBINATIONS_COUNT
    with pytest.raises(ParameterError, match="2,004 combinations where a search takes 2,000"):
        read(tmp_path, space=[[*batches, "none"], fours])


def test_what_a_stage_refuses_is_known_before_any_work(tmp_path: Path) -> None:
    """Casting twice cannot be; the sentence says at which line, and the others are free."""
    space = read(tmp_path, space=[["none", BF16], [BF16, SORTED]])
    baseline = write_artifact(tmp_path / "baseline")
    refused = space.refusals(baseline.spec, Materials(make_inputs()))

    assert list(refused) == [(1, 0)]
    assert refused[1, 0].startswith("line 2 of the recipe: stage `precision` takes a torch fp32 artifact")


def test_an_engine_that_is_not_installed_refuses_only_its_combinations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of the space can be searched without it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    space = read(tmp_path, space=[["none", {"engine": {"name": "onnxruntime"}}], [SORTED]])
    refused = space.refusals(write_artifact(tmp_path / "baseline").spec, Materials(make_inputs()))

    assert list(refused) == [(1, 0)]
    assert "is not installed; pip install onnx" in refused[1, 0]


@pytest.mark.parametrize(
    "change",
    [
        {"space": [["none", BF16], ["none", SORTED, "runtime"]]},
        {"constraints": {"max_accuracy_drop_ratio": 0.02}},
        {"finalists": 3},
        {"guardrail_profile": "retrained"},
    ],
)
def test_the_digest_is_of_what_the_space_says(tmp_path: Path, change: dict[str, Any]) -> None:
    """A comment or another way to write the same changes nothing, anything else does."""
    plain = read(tmp_path)
    path = written(tmp_path)
    path.write_text(f"# a comment\n{path.read_text(encoding='utf-8')}", encoding="utf-8")

    assert read_space(path).digest() == plain.digest()
    assert read(tmp_path, **change).digest() != plain.digest()


@pytest.mark.parametrize(
    "path", sorted((project.root() / "params" / "spaces").glob("*.yaml")), ids=lambda path: path.stem
)
def test_our_own_spaces_can_be_read(path: Path) -> None:
    """Every stage and option in them exists."""
    assert len(read_space(path).combinations) >= 5
