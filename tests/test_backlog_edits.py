"""What people write about the backlog: read strictly, refused in one sentence, never lost."""

from pathlib import Path

import pytest

from perflib import project
from perflib.errors import ParameterError
from perflib.governance.backlog.edits import Edit, load_edits, unknown_ids
from perflib.results.governance import Backlog, Range


def load(folder: Path, text: str) -> dict[str, dict[str, Edit]]:
    """Read edits from a text."""
    (folder / "backlog.yaml").write_text(text, encoding="utf-8")
    return {workload: dict(items) for workload, items in load_edits(folder=folder).items()}


def one_item(folder: Path, line: str) -> Edit:
    """Read the edit of one item."""
    return load(folder, f"workloads:\n  reviews-tiny:\n    OPT-int8:\n      {line}\n")["reviews-tiny"]["OPT-int8"]


def test_everything_that_may_be_said_is_read(tmp_path: Path) -> None:
    """Words keep their meaning and lose their line breaks."""
    found = load(
        tmp_path,
        """
workloads:
  reviews-tiny:
    OPT-int8:
      status: accepted
      owner: Ada Example
      effort_days: {p10: 1, p50: 2.5, p90: 5}
      note: |
        We start
        in March.
      depends_on: [OPT-sorted, HYP-padding, OPT-sorted]
    HYP-padding: {owner: Bo Example}
""",
    )

    assert found == {
        "reviews-tiny": {
            "OPT-int8": Edit(
                "accepted", "Ada Example", Range(1.0, 2.5, 5.0), "We start in March.", ("OPT-sorted", "HYP-padding")
            ),
            "HYP-padding": Edit(owner="Bo Example"),
        }
    }


def test_no_file_and_no_edits_are_the_same(tmp_path: Path) -> None:
    """Nobody has to write anything."""
    assert load_edits(folder=tmp_path) == {}
    assert load(tmp_path, "workloads: {}") == {}


def test_the_file_that_ships_says_nothing_yet() -> None:
    """Its example is in comments, and it is read without a word."""
    text = (project.root() / "params" / "backlog.yaml").read_text(encoding="utf-8")

    assert load_edits(folder=project.root() / "params") == {}
    assert all(key in text for key in ("status", "owner", "effort_days", "note", "depends_on"))


def test_the_example_in_the_comments_is_right(tmp_path: Path) -> None:
    """Whoever takes away the hashes has a file that is read."""
    text = (project.root() / "params" / "backlog.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    first = lines.index("# workloads:")
    example = [line.removeprefix("# ") for line in lines[first : lines.index("#", first)]]

    found = load(tmp_path, "\n".join(example))["sentiment-minilm"]["OPT-int8"]
    assert (found.status, found.effort_days) == ("accepted", Range(1.0, 2.0, 5.0))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("status: acepted", "status `acepted` is not known; did you mean `accepted`?"),
        ("status: null", "status `None` is not known"),
        ("statos: accepted", "`statos` is no key of an item; did you mean `status`?"),
        ("owner: 7", "owner is 7; write words."),
        ("note: [a]", "note is .*; write words."),
        ("effort_days: 3", "effort_days is 3; give `p10`, `p50` and `p90`"),
        ("effort_days: {p10: 1, p50: 2}", "give `p10`, `p50` and `p90`"),
        ("effort_days: {p10: 0, p50: 2, p90: 3}", "a number of days above 0"),
        ("effort_days: {p10: -1, p50: 2, p90: 3}", "a number of days above 0"),
        ("effort_days: {p10: .nan, p50: 2, p90: 3}", "effort_days.p10` in .* is nan"),
        ("effort_days: {p10: 1, p50: 2, p90: .inf}", "effort_days.p90` in .* is inf"),
        ("effort_days: {p10: true, p50: 2, p90: 3}", "a number of days above 0"),
        ("effort_days: {p10: 1, p50: 4, p90: 3}", "effort_days is 1, 4, 3; p10 may not exceed p50, nor p50 p90."),
        ("depends_on: OPT-sorted", "write a list of item ids"),
        ("depends_on: [1]", "write a list of item ids"),
        ("owner: Ada\n      owner: Bo", "key `owner` stands twice"),
        ("owner: !!python/object/apply:os.getcwd []", "is not plain YAML"),
    ],
)
def test_a_mistake_is_refused_in_one_sentence(tmp_path: Path, line: str, sentence: str) -> None:
    """With the file, the item, what was written and what may be."""
    with pytest.raises(ParameterError, match=sentence) as refused:
        one_item(tmp_path, line)

    assert "backlog.yaml" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["workloads: []", "items: {}", "workloads: {}\nmore: 1"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    """There is one key, and it holds a mapping."""
    with pytest.raises(ParameterError, match="is not one mapping `workloads`"):
        load(tmp_path, text)


@pytest.mark.parametrize("text", ["workloads: {reviews-tiny: 3}", "workloads: {reviews-tiny: {OPT-int8: accepted}}"])
def test_a_workload_or_item_without_keys_is_refused(tmp_path: Path, text: str) -> None:
    """A word alone says nothing about which field it belongs to."""
    with pytest.raises(ParameterError, match="write"):
        load(tmp_path, text)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 give a sentence."""
    (tmp_path / "backlog.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ParameterError, match="cannot be read as UTF-8 text"):
        load_edits(folder=tmp_path)


def test_an_id_that_no_item_has_is_a_warning() -> None:
    """Runs differ, so it may be right elsewhere; what is depended on is looked up as well."""
    backlog = Backlog("run", "reviews-tiny", "EUR", is_example=False, prices_sha256="e" * 64, items=())
    found = unknown_ids({"OPT-b": Edit(depends_on=("OPT-c",)), "OPT-a": Edit()}, backlog)

    assert [words.partition(",")[0] for words in found] == [
        "params/backlog.yaml edits `OPT-a`",
        "params/backlog.yaml edits `OPT-b`",
        "params/backlog.yaml says that `OPT-b` depends on `OPT-c`",
    ]
