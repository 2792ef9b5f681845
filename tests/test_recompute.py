"""A reviewer, who shares no line with us, finds every number of a validation in the kept answers."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import perflib.governance.recompute as recompute_package
from perflib.errors import DataError
from perflib.governance.recompute import BELIEVED, recompute_validation, resampling
from perflib.governance.recompute.bounds import Pairs, gated_levels, not_shown_together
from perflib.governance.recompute.differences import differences
from perflib.validation.families import Discordant, holm_levels, holm_non_inferior, large_enough
from perflib.validation.quality import tango_lower
from tests.whole_records import COUNT, NAME, write_validation

PACKAGE = Path(recompute_package.__file__).parent


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run with a validation, its answers and its probes; nobody writes to it."""
    folder = tmp_path_factory.mktemp("written")
    write_validation(folder)
    return folder


@pytest.fixture
def path(written: Path, tmp_path: Path) -> Path:
    """The validation of a copy of that run."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tmp_path / "records" / f"validation-{NAME}.json"


@pytest.mark.parametrize(
    ("case", "least_count"),
    [
        pytest.param({}, 440, id="lossy"),
        pytest.param({"profile": "lossless", "noise": 0.05}, 440, id="lossless, ties forgiven"),
        pytest.param({"class_count": 3, "lost_count": 3}, 340, id="three classes, some answers no number"),
        pytest.param({"lost_count": COUNT, "has_probes": False}, 250, id="no answer a number, no probes"),
        pytest.param({"noise": 0.0}, 440, id="the baseline itself"),
        pytest.param({"noise": 2.0, "seed": 6}, 440, id="far away"),
    ],
)
def test_every_number_is_found_again(tmp_path: Path, case: dict[str, Any], least_count: int) -> None:
    """Whatever the profile, the classes and the losses; a run that compared little would prove little."""
    path = write_validation(tmp_path, **case)

    found = recompute_validation(path.parent, NAME)

    assert found.differing == ()
    assert found.largest_difference <= 1e-9
    assert found.compared_count >= least_count
    assert found.left_out_count < found.compared_count / 2


def test_a_large_split_is_drawn_again_piece_by_piece(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the resamples would not fit into memory, the same ones are made anew."""
    monkeypatch.setattr(resampling, "_MOST_KEPT_BYTES", 0)

    assert recompute_validation(path.parent, NAME).differing == ()


def test_ties_matter_in_the_lossless_case(tmp_path: Path) -> None:
    """Otherwise the case above would not show that they are forgiven."""
    record = json.loads(write_validation(tmp_path, profile="lossless", noise=0.05).read_text(encoding="utf-8"))
    halves = [one for one in record["slices"] if one["column"] == "negation"]

    assert record["tie_count"] > 0
    assert sum(one["negative_flip_count"] for one in halves) == (
        record["negative_flip_count"] - record["negative_tie_count"]
    )


def test_a_changed_number_is_named(path: Path) -> None:
    """
    One in every part of the record, by little, and one that is missing, one that is new, one that has moved.

    So is a slice that is only called exploratory, as if nobody could recompute it.
    """
    record = json.loads(path.read_text(encoding="utf-8"))
    for keys in (
        ("mcnemar_p",),
        ("needed_example_count",),
        ("distances", "kl_p99_nat"),
        ("baseline_confidence", "ece_mass_ratio"),
        ("candidate_confidence", "bins", 10, "accuracy_ratio"),
        ("differences", 1, "high"),
        ("slices", 1, "holm_low_ratio"),
        ("classes", 1, "rate_change", "low"),
        ("gaps", 0, "odds_increase", "low"),
        ("probes", 3, "token_gap_change_ratio"),
    ):
        change(record, keys)
    record["slices"][0]["is_gated"] = not record["slices"][0]["is_gated"]
    record["probes"][0]["increase"]["low"] = None
    record["probes"][1]["surprise_ratio"] = 0.5
    record["differences"][3]["name"] = "accuracy"
    last = max(place for place, one in enumerate(record["slices"]) if not one["is_exploratory"])
    record["slices"][last]["is_exploratory"] = True
    path.write_text(json.dumps(record), encoding="utf-8")

    named = set(recompute_validation(path.parent, NAME).differing)
    hidden = {name for name in named if name.startswith(f"slices.{last}.")}

    assert f"slices.{last}.change_ratio" in hidden
    assert named - hidden == {
        "mcnemar_p",
        "needed_example_count",
        "distances.kl_p99_nat",
        "baseline_confidence.ece_mass_ratio",
        "candidate_confidence.bins.10.accuracy_ratio",
        "differences.1.high",
        "differences.3.name",
        "explored.0.is_gated",
        "slices.0.is_gated",
        "slices.1.holm_low_ratio",
        "classes.1.rate_change.low",
        "gaps.0.odds_increase.low",
        "probes.0.increase.low",
        "probes.1.surprise_ratio",
        "probes.3.token_gap_change_ratio",
    }


def test_changed_answers_are_named(path: Path) -> None:
    """One label that somebody corrects, and one row less, are seen in the counts that follow from them."""
    answers = path.with_name(f"predictions-{NAME}.parquet")
    frame = pd.read_parquet(answers)
    corrected = frame.assign(label=np.where(np.arange(len(frame)) == 100, 1 - frame["label"], frame["label"]))

    corrected.to_parquet(answers)
    relabelled = recompute_validation(path.parent, NAME).differing
    frame.iloc[1:].to_parquet(answers)
    shortened = recompute_validation(path.parent, NAME).differing

    assert "baseline_accuracy_ratio" in relabelled
    assert "example_count" in shortened


def test_what_is_believed_is_named_with_its_reason(path: Path) -> None:
    """A change in a part that nobody kept is not seen, and that part is on the list."""
    record = json.loads(path.read_text(encoding="utf-8"))
    change(record, ("invariance", 0, "example_count"))
    path.write_text(json.dumps(record), encoding="utf-8")

    assert recompute_validation(path.parent, NAME).differing == ()
    assert "invariance" in BELIEVED
    assert all(BELIEVED.values())


# --- the command line


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it as a reviewer does."""
    line = [sys.executable, "-m", "perflib.governance.recompute", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True)


def test_the_command_says_what_it_compared_and_what_differs(path: Path, tmp_path: Path) -> None:
    """Code 0 and one line; after a change code 1 and the name; without the files one sentence."""
    good = command(tmp_path, NAME)
    record = json.loads(path.read_text(encoding="utf-8"))
    change(record, ("mcnemar_p",))
    path.write_text(json.dumps(record), encoding="utf-8")
    bad, missing = command(tmp_path, NAME), command(tmp_path, "other")

    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.split()[1:3] == ["values", "compared,"]
    assert (bad.returncode, bad.stderr) == (1, "mcnemar_p\n")
    assert missing.returncode == 1
    assert "validation-other.json cannot be read" in missing.stderr
    assert missing.stderr.count("\n") == 1


# --- files of other people


def renamed(frame: pd.DataFrame) -> pd.DataFrame:
    """Take a column away."""
    return frame.rename(columns={"candidate_1": "other"})


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (renamed, "has no column `candidate_1`"),
        (lambda frame: frame.assign(label=frame["label"] + 7), "labels for 2 classes"),
        (lambda frame: frame.assign(label=frame["label"].astype(str)), "int64 is needed"),
        (lambda frame: frame.assign(baseline_0="x"), "float is needed"),
        (lambda frame: frame.assign(slice_length=None), "string is needed"),
        (lambda frame: frame.iloc[:0], "0 labels"),
    ],
)
def test_answers_of_another_shape_are_refused(path: Path, spoil: Any, words: str) -> None:
    """A sentence, and no traceback of a library."""
    answers = path.with_name(f"predictions-{NAME}.parquet")
    spoil(pd.read_parquet(answers)).to_parquet(answers)

    with pytest.raises(DataError, match=words):
        recompute_validation(path.parent, NAME)


@pytest.mark.parametrize("content", [b"", b"PAR1 and so on PAR1"])
def test_a_file_that_is_no_parquet_is_refused(path: Path, content: bytes) -> None:
    """A damaged file is the reader's to replace."""
    path.with_name(f"predictions-{NAME}.parquet").write_bytes(content)

    with pytest.raises(DataError, match="is no Parquet file"):
        recompute_validation(path.parent, NAME)


def test_a_record_that_lacks_a_part_is_refused(path: Path) -> None:
    """Not with the traceback of a missing key."""
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["seed"]
    path.write_text(json.dumps(record), encoding="utf-8")

    with pytest.raises(DataError, match=r"cannot be recomputed .*seed"):
        recompute_validation(path.parent, NAME)


# --- formulas against validation's


def test_bounds_agree_with_validation_on_random_tables() -> None:
    """Tango's, at any level, also where nothing or everything flips."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        n = int(rng.integers(1, 400))
        worse = int(rng.integers(0, n + 1))
        better = int(rng.integers(0, n - worse + 1))
        level = float(rng.choice([0.95, 0.975, 0.999]))
        pairs = Pairs(worse, better, n)

        assert pairs.low_ratio(level) == pytest.approx(tango_lower(worse, better, n, level=level), abs=1e-9)
        assert pairs.high_ratio(level) == pytest.approx(Discordant(worse, better, n).high_ratio(level), abs=1e-9)


def test_families_agree_with_validation_on_random_tables() -> None:
    """Who is large enough, at which level each stands, and who is shown beside the others."""
    rng = np.random.default_rng(1)
    for _ in range(60):
        sizes = rng.integers(20, 600, size=int(rng.integers(1, 9))).tolist()
        flips = [rng.integers(0, 1 + size // 8, size=2).tolist() for size in sizes]
        pairs = [Pairs(worse, better, size) for (worse, better), size in zip(flips, sizes, strict=True)]
        theirs = [Discordant(worse, better, size) for (worse, better), size in zip(flips, sizes, strict=True)]
        margins = rng.choice([0.02, 0.05, 0.1], size=len(sizes)).tolist()
        enough = large_enough(sizes, bound_ratio=0.05)
        kept = [place for place, is_large in enumerate(enough) if is_large]
        levels = dict(zip(kept, holm_levels([theirs[place] for place in kept]), strict=True))
        shown = holm_non_inferior(theirs, margin_ratios=margins)

        assert gated_levels(pairs, bound_ratio=0.05) == levels
        assert gated_levels(pairs) == dict(enumerate(holm_levels(theirs)))
        assert not_shown_together({str(place): (pairs[place], margins[place]) for place in range(len(sizes))}) == {
            str(place) for place, (_, is_shown) in enumerate(shown) if not is_shown
        }


@pytest.mark.parametrize(
    ("said", "found", "is_same"),
    [
        (0.5, 0.5 + 9e-10, True),
        (0.5, 0.5 + 2e-9, False),
        (1e6, 1e6 + 9e-4, True),
        (1e6, 1e6 + 2e-3, False),
        (None, float("nan"), True),
        (None, 0.0, False),
        (0.0, None, False),
        ("a", "b", False),
        ("a", 1, False),
        (True, False, False),
    ],
)
def test_values_differ_beyond_a_billionth(said: Any, found: Any, is_same: bool) -> None:
    """Relative above 1, absolute below; what one side lacks differs, and NaN is lacking."""
    assert (differences({"x": said}, {"x": found}, believed=()).differing == ()) == is_same


# --- independence


def imported(source: str) -> set[str]:
    """Return the full names of what a module takes from perflib, and the first names of everything else."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            found |= {f"{node.module}.{one.name}" for one in node.names}
    return {name if name.startswith("perflib") else name.split(".")[0] for name in found}


def test_it_shares_nothing_with_what_it_checks() -> None:
    """Of perflib it has the errors and the strict reader of JSON; a second import of anything else would be seen."""
    modules = sorted(PACKAGE.rglob("*.py"))
    names = {name for path in modules for name in imported(path.read_text(encoding="utf-8"))}
    own = {name for name in names if name.startswith("perflib.governance.recompute")}
    outside = {name for name in names - own if name.startswith("perflib")}

    assert len(modules) > 10
    assert outside == {"perflib.errors.DataError", "perflib.errors.PerflibError", "perflib.records.loads"}
    assert names - own - outside <= set(sys.stdlib_module_names) | {"numpy", "pyarrow", "scipy"}
    assert imported("from perflib.validation import quality") == {"perflib.validation.quality"}


def test_it_loads_nothing_of_what_it_checks() -> None:
    """Nor does anything that it imports."""
    code = (
        "import sys, perflib.governance.recompute\n"
        "print(sorted(name for name in sys.modules if name.startswith('perflib') and 'governance' not in name))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ast.literal_eval(done.stdout) == ["perflib", "perflib.errors", "perflib.records"]


def change(record: Any, keys: tuple[str | int, ...]) -> None:
    """Make one number of a record a little larger."""
    *path, last = keys
    for key in path:
        record = record[key]
    record[last] += 1e-6 * max(abs(record[last]), 1)
