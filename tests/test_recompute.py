"""A reviewer's script, which shares no line with us, finds every number of a record in the kept answers."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from perflib.guardrails import load_guardrails
from perflib.results import Invariance, Overlap
from perflib.validation.gates import judge
from perflib.validation.measure import Answered, measure
from perflib.validation.predictions import Paired
from perflib.validation.probes import Probe, ProbeAnswers
from tests.synthetic_records import identity

SCRIPT = Path(__file__).with_name("recompute_validation.py")
COUNT, BORDER_COUNT, NAME = 600, 150, "int8"
Floats = NDArray[np.float32]


def probabilities(logits: NDArray[np.float64]) -> Floats:
    """Return the softmax of logits of shape (rows, classes)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def paired(rng: np.random.Generator, *, class_count: int, noise: float) -> Paired:
    """Return two models that are mostly right, ties among the baseline's answers, and groups of many sizes."""
    labels = rng.integers(class_count, size=COUNT)
    logits = rng.normal(size=(COUNT, class_count)) + 1.5 * np.eye(class_count)[labels]
    logits[:20] = 1e-4 * rng.normal(size=(20, class_count))
    slices = {
        "length": rng.choice(["long", "middle", "short"], COUNT, p=[0.5, 0.4, 0.1]),
        "negation": np.where(rng.random(COUNT) < 0.1, "yes", "no"),
        # Without any flip its bound would clear the limit, with one it does not.
        "border": np.repeat(["outside", "inside"], [COUNT - BORDER_COUNT, BORDER_COUNT]),
        "baseline margin": rng.choice(["1 of 2", "2 of 2"], COUNT),
        "of one class": np.where(labels == 0, rng.choice(["a", "b"], COUNT), "c"),
        "nothing": np.full(COUNT, "no"),
    }
    return Paired(
        ids=tuple(f"id-{row}" for row in range(COUNT)),
        labels=labels,
        baseline=probabilities(logits),
        candidate=probabilities(logits + noise * rng.normal(size=logits.shape)),
        slices={name: tuple(values.tolist()) for name, values in slices.items()},
    )


def probes(rng: np.random.Generator, *, class_count: int, noise: float) -> ProbeAnswers:
    """Return probes of every suite and rule, in kinds of many sizes."""
    asked = [
        Probe("perturbation", kind, 2, "same", before="a", after="b", key=str(number))
        for kind, count in (("typo", 320), ("lookalike letters", 310), ("rare", 40))
        for number in range(count)
    ]
    asked += [
        Probe("counterfactual", kind, 1, "same", before="a", after="b", key=str(number))
        for kind in ("gender", "age")
        for number in range(60)
    ]
    for number in range(50):
        asked.append(Probe("behaviour", "negation", 1, "right", before=None, after="b", label=1, key=str(number)))
        asked.append(Probe("behaviour", "emphasis", 1, "not less", before="a", after="b", label=0, key=str(number)))
    before = rng.normal(size=(len(asked), class_count))
    after = before + 0.3 * rng.normal(size=before.shape)
    sides = [probabilities(one + arm * noise * rng.normal(size=one.shape)) for arm in (0, 1) for one in (before, after)]
    for side in (sides[0], sides[2]):
        side[[probe.before is None for probe in asked]] = np.nan
    sides[3][-4:] = np.nan
    return ProbeAnswers(tuple(asked), *sides)


def write_run(
    folder: Path,
    *,
    profile: str = "lossy",
    class_count: int = 2,
    noise: float = 0.6,
    lost_count: int = 0,
    has_probes: bool = True,
) -> Path:
    """Validate a candidate that was never built, and keep what a run keeps; return the record's path."""
    rng = np.random.default_rng(5)
    both = paired(rng, class_count=class_count, noise=noise)
    both.candidate[:lost_count] = np.nan
    asked = probes(rng, class_count=class_count, noise=noise) if has_probes else None
    guardrails, sha256 = load_guardrails("guardrails.yaml")
    answered = Answered(
        paired=both,
        labels=tuple("abc"[:class_count]),
        probes=asked,
        invariance=(Invariance("asked again", 100, 0, 0.0),),
        overlaps=(Overlap("train", 1000, 0, 1, ("near",)),),
        identity=identity(),
        split_sha256="0" * 64,
        cut_ratio=0.25,
    )
    found = measure(answered, name=NAME, profile=profile, limits=guardrails[profile], guardrails_sha256=sha256, seed=3)
    records = folder / "records"
    both.write(records / f"predictions-{NAME}.parquet")
    if asked is not None:
        asked.write(records / f"probes-{NAME}.parquet")
    return judge(found, guardrails).write(records / f"validation-{NAME}.json")


def recompute(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the script as a reviewer does, somewhere else and without our package on the path."""
    command = [sys.executable, str(SCRIPT), str(folder), NAME]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


@pytest.mark.parametrize(
    ("case", "least_count"),
    [
        pytest.param({}, 440, id="lossy"),
        pytest.param({"profile": "lossless", "noise": 0.05}, 440, id="lossless, ties forgiven"),
        pytest.param({"class_count": 3, "lost_count": 3}, 340, id="three classes, some answers no number"),
        pytest.param({"lost_count": COUNT, "has_probes": False}, 250, id="no answer a number, no probes"),
        pytest.param({"noise": 0.0}, 440, id="the baseline itself"),
    ],
)
def test_every_number_is_found_again(tmp_path: Path, case: dict[str, Any], least_count: int) -> None:
    """Whatever the profile, the classes and the losses; a run that compared little would prove little."""
    write_run(tmp_path, **case)

    done = recompute(tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout.split()[0]) >= least_count


def test_ties_matter_in_the_lossless_case(tmp_path: Path) -> None:
    """Otherwise the case above would not show that they are forgiven."""
    record = json.loads(write_run(tmp_path, profile="lossless", noise=0.05).read_text(encoding="utf-8"))
    halves = [one for one in record["slices"] if one["column"] == "negation"]

    assert record["tie_count"] > 0
    assert sum(one["negative_flip_count"] for one in halves) == (
        record["negative_flip_count"] - record["negative_tie_count"]
    )


def test_a_changed_number_is_named(tmp_path: Path) -> None:
    """
    One in every part of the record, by little, and one that is missing, one that is new, one that has moved.

    So is a slice that is only called exploratory, as if nobody could recompute it.
    """
    path = write_run(tmp_path)
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

    done = recompute(tmp_path)
    named = set(done.stderr.strip().split(", "))
    hidden = {name for name in named if name.startswith(f"slices.{last}.")}

    assert done.returncode == 1
    assert f"slices.{last}.change_ratio" in hidden
    assert named - hidden == {
        "mcnemar_p",
        "needed_example_count",
        "distances.kl_p99_nat",
        "baseline_confidence.ece_mass_ratio",
        "candidate_confidence.bins.10.accuracy_ratio",
        "differences.1.high",
        "differences.3.name",
        "slices.0.is_gated",
        "slices.1.holm_low_ratio",
        "classes.1.rate_change.low",
        "gaps.0.odds_increase.low",
        "probes.0.increase.low",
        "probes.1.surprise_ratio",
        "probes.3.token_gap_change_ratio",
    }


def test_the_script_is_short_and_shares_nothing() -> None:
    """A reviewer reads it at one sitting, and what it finds is found without us."""
    source = SCRIPT.read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(source)))
    imported = {name.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for name in node.names}
    imported |= {(node.module or "").split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}

    assert len(source.splitlines()) < 150
    assert imported <= {"json", "pathlib", "sys", "typing", "numpy", "pandas", "scipy"}


def change(record: Any, keys: tuple[str | int, ...]) -> None:
    """Make one number of a record a little larger."""
    *path, last = keys
    for key in path:
        record = record[key]
    record[last] += 1e-6 * max(abs(record[last]), 1)
