"""
Everything that is asked of two models before one may take the place of the other.

Both answer the same test split in the same order, and the same probes; the candidate is asked again in other batches.
Answers are cached by what decides them, so the baseline is asked once for all candidates.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from perflib import machine
from perflib.artifact import Artifact
from perflib.encoded import Encoded
from perflib.results import Build, Churn, Comparison, Identity, Overlap
from perflib.validation import features
from perflib.validation.behaviours import behaviour_probes
from perflib.validation.counterfactuals import counterfactual_probes
from perflib.validation.measure import Answered
from perflib.validation.numerics import invariances
from perflib.validation.overlaps import overlaps
from perflib.validation.perturbations import perturbation_probes
from perflib.validation.predictions import Answers, pair, predict
from perflib.validation.probes import Probe, ProbeAnswers, Suite, answer_probes, texts_of
from perflib.workloads.base import Splits, Workload

# The classes, in order, that sentences about people and the behavioural cases are made for.
SENTIMENT = ("negative", "positive")
SUITES: tuple[Suite, ...] = get_args(Suite)
SLOWER_NOTE = "It is slower in every scenario, so it was asked neither probes nor in other batches."


@dataclasses.dataclass(frozen=True)
class Material:
    """
    What is the same for all candidates of a run: the data, the baseline, the probes.

    ``cache`` is a folder for answers; None keeps none.
    """

    workload: Workload
    splits: Splits
    baseline: Artifact
    inputs: Encoded
    overlaps: tuple[Overlap, ...]
    probes: tuple[Probe, ...]
    probe_inputs: Encoded | None
    seed: int
    cache: Path | None


def prepare_material(
    workload: Workload,
    splits: Splits,
    baseline: Artifact,
    *,
    inputs: Encoded | None = None,
    seed: int = 0,
    cache: Path | None = None,
) -> Material:
    """Encode the test split and the probes, and look for test texts that were used before."""
    probes = _probes(workload, splits, seed)
    return Material(
        workload=workload,
        splits=splits,
        baseline=baseline,
        inputs=workload.encode(splits.test.inputs) if inputs is None else inputs,
        overlaps=overlaps(splits),
        probes=probes,
        probe_inputs=workload.encode(texts_of(probes)) if probes else None,
        seed=seed,
        cache=cache,
    )


def ask(
    material: Material,
    candidate: Artifact,
    *,
    name: str,
    comparison: Comparison | None,
    build: Build | None = None,
    churn: Churn | None = None,
    candidate_inputs: Encoded | None = None,
) -> Answered:
    """
    Ask both models everything; of a candidate that is slower wherever it was timed, the test split alone.

    Such a candidate cannot be shipped whatever it answers, and it is the one that takes longest to ask.

    Args:
        material: From `prepare_material`.
        candidate: The model that may take the baseline's place.
        name: Its name on progress bars.
        comparison: What was timed; None where nothing was.
        build: What was built; None where there is no record of it.
        churn: What a re-training of the baseline changes, where somebody measured it.
        candidate_inputs: The test split as the candidate is given it, where that is not what the baseline is given.
    """
    is_slower = comparison is not None and comparison.is_slower_everywhere
    test, labels = material.splits.test, material.workload.labels
    before = predict(material.baseline, material.inputs, cache=material.cache, label="baseline")
    given = material.inputs if candidate_inputs is None else candidate_inputs
    after = predict(candidate, given, cache=material.cache, label=name)
    columns = {column: test.slices[column] for column in material.workload.slice_columns}
    # Paired first: that refuses in words a label or an answer that the columns after it could not name.
    paired = pair(test, Answers(test.ids, before), Answers(test.ids, after), columns, class_count=len(labels))
    named = {"label": tuple(labels[label] for label in test.labels)}
    return Answered(
        paired=paired.with_slices(named | _features(material, before)),
        labels=labels,
        probes=None if is_slower else _answered_probes(material, candidate, name),
        invariance=() if is_slower else invariances(candidate, given, seed=material.seed, label=name),
        overlaps=material.overlaps,
        identity=_identity(material, candidate, given, comparison, build),
        split_sha256=test.digest(),
        cut_ratio=float(np.mean(given.lengths() < material.inputs.lengths())),
        long_ratio=_long_ratio(material),
        churn=churn,
        absent_suites=tuple(suite for suite in SUITES if suite not in {probe.suite for probe in material.probes}),
        notes=(*_notes(material), *((SLOWER_NOTE,) if is_slower else ())),
    )


def _probes(workload: Workload, splits: Splits, seed: int) -> tuple[Probe, ...]:
    test = splits.test
    if not _is_text(test.inputs):
        return ()
    probes = perturbation_probes(test.inputs, test.ids, seed=seed)
    if workload.labels == SENTIMENT:
        probes += [*counterfactual_probes(), *behaviour_probes()]
    return tuple(probes)


def _answered_probes(material: Material, candidate: Artifact, name: str) -> ProbeAnswers | None:
    if material.probe_inputs is None:
        return None
    # Sorted by length they arrive with less padding; a server that batches would do no other.
    order = np.argsort(material.probe_inputs.lengths(), kind="stable")
    back = np.argsort(order)
    inputs = material.probe_inputs.take(order)
    before = predict(material.baseline, inputs, cache=material.cache, label="probes, baseline")[back]
    after = predict(candidate, inputs, cache=material.cache, label=f"probes, {name}")[back]
    return answer_probes(material.probes, before, after)


def _features(material: Material, before: NDArray[np.float32]) -> dict[str, tuple[str, ...]]:
    test, lengths = material.splits.test, material.inputs.lengths()
    if not _is_text(test.inputs):
        return features.number_features(baseline=before, lengths=lengths)
    return features.text_features(
        test.inputs,
        lengths=lengths,
        baseline=before,
        train_texts=material.splits.train.inputs,
        max_token_count=_max_token_count(material.workload),
    )


def _identity(
    material: Material, candidate: Artifact, given: Encoded, comparison: Comparison | None, build: Build | None
) -> Identity:
    card = machine.read_card()
    return Identity(
        baseline_sha256=material.baseline.digest,
        candidate_sha256=candidate.digest,
        built_sha256=build.artifact_sha256 if build else None,
        timed_baseline_sha256=comparison.baseline_sha256 if comparison else None,
        timed_candidate_sha256=comparison.candidate_sha256 if comparison else None,
        baseline_inputs_sha256=material.inputs.digest(),
        candidate_inputs_sha256=given.digest(),
        timed_inputs_sha256=comparison.inputs_sha256 if comparison else None,
        hardware_class=card.hardware_class,
        timed_hardware_class=comparison.hardware_class if comparison else None,
        isa_flags=card.isa_flags,
    )


def _notes(material: Material) -> tuple[str, ...]:
    notes = list(material.splits.notes)
    near = {one.split: one.near_count for one in material.overlaps if one.near_count}
    if near:
        where = ", ".join(f"{count} in {split}" for split, count in near.items())
        notes.append(f"Texts that nearly repeat a test text: {where}.")
    if not material.probes:
        notes.append("These inputs are no texts, so A9 to A11 cannot be asked.")
    elif material.workload.labels != SENTIMENT:
        notes.append(f"A10 and A11 ask for the classes {' and '.join(SENTIMENT)}, so they cannot be asked here.")
    if len(material.workload.labels) != len(SENTIMENT):
        notes.append("Equalised odds ask for two classes, so A8-odds cannot be asked here.")
    return tuple(notes)


def _long_ratio(material: Material) -> float | None:
    greatest = _max_token_count(material.workload)
    return None if greatest is None else float(np.mean(material.inputs.lengths() >= greatest))


def _max_token_count(workload: Workload) -> int | None:
    count: int | None = getattr(workload, "max_token_count", None)
    return count


def _is_text(inputs: Sequence[Any]) -> bool:
    return all(isinstance(one, str) for one in inputs)
