"""
Records that follow from what lies beside them: a validation with its answers, a comparison with its raw times.

Nothing is built or timed; but what a record says is computed by the code that computes it in a run.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflib.artifact import Runtime
from perflib.benchmarking.compare import compare
from perflib.benchmarking.question import Question
from perflib.benchmarking.scenarios import get_scenarios
from perflib.guardrails import load_guardrails
from perflib.results import Comparison, Invariance, Overlap
from perflib.validation.gates import judge
from perflib.validation.measure import Answered, measure
from perflib.validation.predictions import Paired
from perflib.validation.probes import Probe, ProbeAnswers
from tests.fake_arms import FakeHost, FakeWatch
from tests.synthetic_records import identity
from tests.tiny_artifact import make_inputs, write_artifact

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


def write_validation(
    folder: Path,
    *,
    profile: str = "lossy",
    class_count: int = 2,
    noise: float = 0.6,
    lost_count: int = 0,
    has_probes: bool = True,
    seed: int = 5,
) -> Path:
    """
    Validate a candidate that was never built, and keep what a run keeps; return the record's path.

    Args:
        folder: Of the run.
        profile: Of the guardrails.
        class_count: Of the answers.
        noise: How far the candidate's logits are from the baseline's.
        lost_count: How many of the candidate's answers are no numbers.
        has_probes: Whether probes were asked.
        seed: Of everything random.
    """
    rng = np.random.default_rng(seed)
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


def heavy_tailed(seed: int, scale: float = 0.02) -> Callable[[], float]:
    """Return slot noise with now and then a very slow slot."""
    generator = np.random.default_rng(seed)
    return lambda: float(scale * generator.standard_t(3))


def compared(
    folder: Path,
    *,
    factor: float = 0.5,
    seed: int = 0,
    scale: float = 0.02,
    scenarios: Sequence[str] = ("single", "offline"),
    calls_count: int = 1,
    watch: FakeWatch | None = None,
    **settings: Any,
) -> Comparison:
    """
    Compare two artifacts on a machine that is not there.

    Args:
        folder: Where the artifacts are written.
        factor: What the candidate costs, over the baseline.
        seed: Of the noise and the coins.
        scale: Of the noise.
        scenarios: Ways of asking.
        calls_count: Calls of a pass, one at a time.
        watch: A machine whose readings are scripted.
        settings: Of the question.
    """
    baseline = write_artifact(folder / "a")
    candidate = write_artifact(folder / "b", runtime=Runtime(batch_example_count=8))
    host = FakeHost(cost_log=math.log(factor), noise=heavy_tailed(seed, scale), calls_count=calls_count)
    question = Question(
        scenarios=get_scenarios(list(scenarios)),
        name=NAME,
        hardware_class="toy",
        seed=seed,
        **{"max_lives_count": 8, **settings},
    )
    return compare(
        baseline,
        candidate,
        make_inputs(40),
        question,
        start_arm=host,
        watch=watch or FakeWatch(),
        clock=host.clock,
    )
