"""
What is asked of two models: each input once, answers in their places, and nothing that cannot be asked passed over.

The workload here is as small as one can be: a model that adds up a number for each word, on sentences made here. Its
sums are exact, so that no answer depends on a batch. Other tests find it as `tests.test_ask:Words`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from perflib import machine, project
from perflib.artifact import SPEC_FILE, Artifact, ArtifactSpec, Lineage, Runtime
from perflib.encoded import Encoded
from perflib.engines import Session
from perflib.errors import DataError
from perflib.results import Churn, Distances
from perflib.validation import ask as ask_module
from perflib.validation.ask import SLOWER_NOTE, SUITES, Material, ask, prepare_material
from perflib.validation.measure import Answered
from perflib.validation.predictions import cache_path
from perflib.workloads.base import Split, Splits
from perflib.workloads.digits import Digits
from tests.synthetic_records import build, comparison, scenario

GOOD = ("great", "fine", "lovely", "wonderful")
BAD = ("terrible", "dull", "awful", "boring")
THINGS = ("film", "hotel", "meal", "concert", "phone")
ENDINGS = ("", " indeed", " and we were there all evening", " for once")
VOCABULARY = ("[PAD]", "[UNK]", "the", "was", "not", "and", "we", "there", "i", *THINGS, *GOOD, *BAD)
MODEL_FILE = "model.safetensors"


# --- a workload ---------------------------------------------------------------------------------------------------


def word_numbers(*, jamal: float = 0.0, shift: float = 0.0) -> NDArray[np.float32]:
    """Return a logit per word and class: good ones for the last class, bad ones for the first, all others weakly."""
    table = np.zeros((len(VOCABULARY), 2), np.float32)
    for row, word in enumerate(VOCABULARY[1:], start=1):
        table[row, 1] = (word in GOOD) * 2.0 - (word in BAD) * 2.0 + (row % 3 - 1) / 4 + shift
    table[1, 1] += jamal
    return table


def write_model(folder: Path, table: NDArray[np.floating], *, labels: tuple[str, ...], details: str = "") -> Artifact:
    """Seal a model of so many classes as the table has columns."""
    folder.mkdir(parents=True)
    save_file({"table": table}, folder / MODEL_FILE)
    return Artifact.seal(
        folder,
        engine=f"{__name__}:open_words",
        precision="fp32",
        labels=labels,
        runtime=Runtime(batch_example_count=16, thread_count=1),
        lineage=Lineage(f"{__name__}:Words", None, (), {}, {"note": details}),
    )


def open_words(folder: Path, spec: ArtifactSpec) -> Session:
    """Return a session that adds up the numbers of words, or of pixels where it is given images."""
    table = load_file(folder / MODEL_FILE)["table"].astype(np.float64)

    def call(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        if "images" in arrays:
            return np.asarray(arrays["images"].reshape(len(arrays["images"]), -1) @ table)
        return np.asarray((table[arrays["input_ids"]] * arrays["attention_mask"][:, :, None]).sum(axis=1))

    return call


class Words:
    """Sentiment of sentences by their words; see `perflib.workloads.base.Workload`."""

    name = f"{__name__}:Words"
    quality_metric = "accuracy"
    labels: tuple[str, ...] = ("negative", "positive")
    unit = "texts"
    slice_columns: tuple[str, ...] = ("thing",)
    max_token_count: int | None = 12
    test_count: ClassVar[int] = 80
    encoded_count: int

    def __init__(self, *, seed: int = 0) -> None:
        self.seed, self.encoded_count = seed, 0

    def prepare(self) -> Artifact:
        """Write the model, once."""
        folder = project.cache_dir() / "workloads" / type(self).__name__ / str(self.seed)
        if (folder / SPEC_FILE).is_file():
            return Artifact.load(folder)
        return write_model(folder, self.table(), labels=self.labels)

    def table(self) -> NDArray[np.float32]:
        """Return the numbers of the words; with another seed each of them leans a little towards the second class."""
        return word_numbers(shift=self.seed / 4)

    def splits(self) -> Splits:
        """Return sentences, no two of them the same."""
        counts = {"train": 40, "calibration": 10, "tuning": 10, "test": self.test_count}
        start, parts = 0, {}
        for name, count in counts.items():
            parts[name] = sentences(name, range(start, start + count))
            start += count
        return Splits(**parts, notes=("Made by hand.",))

    def encode(self, inputs: Sequence[Any]) -> Encoded:
        """Look up words; a stop is part of a word, so that some are unknown."""
        self.encoded_count += 1
        rows = [[_number(word) for word in text.lower().split()][: self.max_token_count] or [1] for text in inputs]
        longest = max(map(len, rows))
        ids = np.array([row + [0] * (longest - len(row)) for row in rows], np.int64)
        return Encoded({"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)})


class ManyWords(Words):
    """Enough texts that perturbations are judged."""

    name = f"{__name__}:ManyWords"
    test_count = 320


class SameWords(Words):
    """A model that nobody trains: every seed gives the same."""

    name = f"{__name__}:SameWords"

    def table(self) -> NDArray[np.float32]:
        """Return the numbers of the words."""
        return word_numbers()


class Reversed(Words):
    """Two classes that are not those of sentiment, because their order is another."""

    labels = ("positive", "negative")


class Grades(Words):
    """Three classes."""

    labels = ("bad", "fair", "good")

    def table(self) -> NDArray[np.float32]:
        """Return a third class that no word speaks for."""
        return np.column_stack([word_numbers(), np.full(len(VOCABULARY), -1 / 8, np.float32)])


def _number(word: str) -> int:
    return VOCABULARY.index(word) if word in VOCABULARY else 1


def sentences(name: str, rows: range) -> Split:
    """Return a split of sentences, none nearly like another; one in eight says the opposite of its label."""
    texts, labels = [], []
    for row in rows:
        words = GOOD if row % 2 else BAD
        ending = ENDINGS[row // 5 % len(ENDINGS)]
        texts.append(f"The {THINGS[row % len(THINGS)]} was {words[row // 2 % len(words)]} {row} {row}th{ending}")
        labels.append(row % 2 if row % 8 else 1 - row % 2)
    return Split(
        name=name,
        ids=tuple(f"{name}-{row}" for row in rows),
        inputs=tuple(texts),
        keys=tuple(text.casefold() for text in texts),
        labels=np.array(labels, np.int64),
        slices={
            "thing": tuple(THINGS[row % len(THINGS)] for row in rows),
            "parity": tuple(str(row % 2) for row in rows),
        },
    )


class Counting(Artifact):
    """A model that keeps what it was asked."""

    def __init__(self, model: Artifact) -> None:
        super().__init__(model.folder, model.spec)
        self.asked: list[Encoded] = []

    def predict(self, encoded: Encoded, **how: Any) -> NDArray[np.float32]:
        """Answer as `Artifact.predict` does."""
        self.asked.append(encoded)
        return super().predict(encoded, **how)


# --- fixtures -----------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep prepared workloads in a folder of this test, and return where answers may be kept."""
    monkeypatch.setenv("PERFLIB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "answers"


@pytest.fixture
def candidate(tmp_path: Path) -> Artifact:
    """Return another model of the same words."""
    return write_model(tmp_path / "candidate", word_numbers(shift=0.75, jamal=0.5), labels=Words.labels)


def material_of(workload: Any, *, baseline: Artifact | None = None, **given: Any) -> Material:
    """Prepare a workload and what is asked of its candidates."""
    return prepare_material(workload, workload.splits(), baseline or workload.prepare(), **given)


def asked(material: Material, candidate: Artifact, **given: Any) -> Answered:
    """Ask both models, where nothing was timed."""
    return ask(material, candidate, name="candidate", **{"comparison": None, **given})


# --- who is asked, and how often ----------------------------------------------------------------------------------


def test_the_baseline_is_asked_once_for_all_candidates(tmp_path: Path, cache: Path) -> None:
    """The test split and the probes, once each; the second candidate finds its answers in the cache."""
    baseline = Counting(Words().prepare())
    material = material_of(Words(), baseline=baseline, cache=cache)
    tables = [word_numbers(shift=shift) for shift in (0.25, 0.75)]
    models = [Counting(write_model(tmp_path / f"{n}", one, labels=Words.labels)) for n, one in enumerate(tables)]
    first, second = (asked(material, model) for model in models)
    assert material.probe_inputs is not None

    assert [len(one) for one in baseline.asked] == [len(material.inputs), len(material.probe_inputs)]
    np.testing.assert_array_equal(first.paired.baseline, second.paired.baseline)
    assert not np.array_equal(first.paired.candidate, second.paired.candidate)
    # Six ways of asking the sample again are never cached: what is kept could not differ.
    assert [len(model.asked) for model in models] == [2 + 6, 2 + 6]
    assert len(list(cache.iterdir())) == 6
    assert cache_path(baseline, material.inputs, cache=cache).is_file()


def test_cached_answers_are_those_of_the_model(candidate: Artifact, cache: Path) -> None:
    """Asked with a cache, again from it, and without one: the same."""
    found = [asked(material_of(Words(), cache=where), candidate) for where in (cache, cache, None)]

    for one in found[1:]:
        np.testing.assert_array_equal(one.paired.candidate, found[0].paired.candidate)
        assert one.probes is not None
        assert found[0].probes is not None
        np.testing.assert_array_equal(one.probes.candidate_after, found[0].probes.candidate_after)


def test_without_a_cache_nothing_is_kept(tmp_path: Path, candidate: Artifact, cache: Path) -> None:
    """No file is written anywhere, and the baseline is asked for each candidate."""
    baseline = Counting(Words().prepare())
    material = material_of(Words(), baseline=baseline)
    before = sorted(tmp_path.rglob("*"))
    for _ in range(2):
        asked(material, candidate)

    assert len(baseline.asked) == 4
    assert sorted(tmp_path.rglob("*")) == before
    assert not cache.exists()


def test_inputs_that_are_there_are_not_encoded_again() -> None:
    """A session has them already; only the probes are left to encode."""
    workload = Words()
    workload.prepare()
    given = workload.encode(workload.splits().test.inputs)
    material = material_of(workload, inputs=given)

    assert material.inputs is given
    assert workload.encoded_count == 2
    assert material_of(Words()).inputs.digest() == given.digest()


def test_the_seed_decides_which_words_are_changed_and_who_are_neighbours(candidate: Artifact) -> None:
    """It is kept with the material, for whoever measures."""
    one, same, other = (material_of(Words(), seed=seed) for seed in (0, 0, 1))
    asked_again = []
    for material in (one, other):
        model = Counting(candidate)
        asked(material, model)
        asked_again.append(model.asked[-2].digest())

    assert one.probes == same.probes
    assert one.probes != other.probes
    assert (one.seed, other.seed) == (0, 1)
    assert asked_again[0] != asked_again[1]


# --- answers in their places --------------------------------------------------------------------------------------


def test_answers_stand_beside_their_examples(candidate: Artifact) -> None:
    """Ids, labels and both models' answers are in the order of the split, each as if asked alone."""
    material = material_of(Words())
    found, test = asked(material, candidate).paired, material.splits.test

    assert found.ids == test.ids
    np.testing.assert_array_equal(found.labels, test.labels)
    for row in (0, 1, 37, 79):
        alone = material.workload.encode([test.inputs[row]])
        np.testing.assert_array_equal(found.baseline[row], material.baseline.predict(alone)[0])
        np.testing.assert_array_equal(found.candidate[row], candidate.predict(alone)[0])
    assert not np.array_equal(found.baseline, found.candidate)


def test_columns_are_the_workloads_own_the_label_and_the_features(candidate: Artifact) -> None:
    """A column of the data that the workload does not report is left out."""
    material = material_of(Words())
    found, test = asked(material, candidate).paired.slices, material.splits.test

    assert {"thing", "label", "negation", "length quartile", "baseline margin", "cut at the limit"} <= set(found)
    assert "parity" not in found
    assert found["thing"] == test.slices["thing"]
    assert found["label"] == tuple("positive" if label else "negative" for label in test.labels)
    assert set(found["rare words"]) == {"yes", "no"}


def test_probe_answers_come_back_in_the_order_of_probes(candidate: Artifact) -> None:
    """They are asked in the order of their lengths, and each stands in its place as if it had been asked alone."""
    material = material_of(Words())
    found = asked(material, candidate).probes
    assert found is not None
    assert material.probe_inputs is not None
    models = {"baseline": material.baseline, "candidate": candidate}

    assert (np.diff(material.probe_inputs.lengths()) < 0).any(), "sorting changes nothing here"
    assert found.probes == material.probes
    for row in range(0, len(found), 53):
        probe = found.probes[row]
        for arm, model in models.items():
            after = model.predict(material.workload.encode([probe.after]))[0]
            np.testing.assert_array_equal(getattr(found, f"{arm}_after")[row], after)
            if probe.before is None:
                assert np.isnan(getattr(found, f"{arm}_before")[row]).all()
            else:
                before = model.predict(material.workload.encode([probe.before]))[0]
                np.testing.assert_array_equal(getattr(found, f"{arm}_before")[row], before)


def test_probes_are_asked_with_little_padding(candidate: Artifact) -> None:
    """The model is given them from the shortest to the longest."""
    model = Counting(candidate)
    asked(material_of(Words()), model)

    assert (np.diff(model.asked[1].lengths()) >= 0).all()


@pytest.mark.parametrize("label", [2, -1])
def test_a_label_without_a_class_is_refused(candidate: Artifact, label: int) -> None:
    """It has no name, and the last class is not it."""
    workload = Words()
    splits = workload.splits()
    labels = splits.test.labels.copy()
    labels[3] = label
    wrong = dataclasses.replace(splits, test=dataclasses.replace(splits.test, labels=labels))
    material = prepare_material(workload, wrong, workload.prepare())

    with pytest.raises(DataError, match=rf"1 labels of the test split lie outside 0 to 1 .*{label} of 'test-63'"):
        asked(material, candidate)


def test_a_model_of_other_classes_is_refused(tmp_path: Path) -> None:
    """The sentence says which of the two it is."""
    three = write_model(tmp_path / "three", Grades().table(), labels=Grades.labels)

    with pytest.raises(DataError, match="the candidate has 3 classes but the workload has 2 labels"):
        asked(material_of(Words()), three)


# --- inputs of its own --------------------------------------------------------------------------------------------


def test_a_candidate_may_be_given_other_inputs(candidate: Artifact) -> None:
    """It is asked those, also again in other batches; how many are shorter is counted, and the digests differ."""
    material = material_of(Words())
    short = Encoded({name: array[:, :6] for name, array in material.inputs.arrays.items()})
    model = Counting(candidate)
    found = asked(material, model, candidate_inputs=short)
    words_counts = [len(text.split()) for text in material.splits.test.inputs]

    assert found.cut_ratio == sum(count > 6 for count in words_counts) / len(words_counts)
    assert 0 < found.cut_ratio < 1
    assert found.identity.candidate_inputs_sha256 == short.digest()
    assert found.identity.baseline_inputs_sha256 == material.inputs.digest()
    np.testing.assert_array_equal(found.paired.candidate, candidate.predict(short))
    np.testing.assert_array_equal(found.paired.baseline, material.baseline.predict(material.inputs))
    assert max(int(one.lengths().max()) for one in [model.asked[0], *model.asked[2:]]) == 6


def test_the_same_inputs_are_not_cut(candidate: Artifact) -> None:
    """Without inputs of its own the candidate is given the baseline's."""
    found = asked(material_of(Words()), candidate)

    assert found.cut_ratio == 0
    assert found.identity.candidate_inputs_sha256 == found.identity.baseline_inputs_sha256


def test_long_inputs_are_counted_against_the_workloads_limit(candidate: Artifact) -> None:
    """Those that reach it may have been longer; a workload without a limit has none."""
    workload, endless = Words(), Words()
    workload.max_token_count, endless.max_token_count = 8, None
    words_counts = [len(text.split()) for text in workload.splits().test.inputs]
    found = asked(material_of(workload), candidate)

    assert found.long_ratio == sum(count >= 8 for count in words_counts) / len(words_counts)
    assert 0 < found.long_ratio < 1
    assert asked(material_of(endless), candidate).long_ratio is None


# --- who they are -------------------------------------------------------------------------------------------------


def test_identity_comes_from_both_models_and_from_what_was_timed_and_built(candidate: Artifact) -> None:
    """Each digest is taken from its own place."""
    material = material_of(Words())
    timed = comparison(
        baseline_sha256="1" * 64, candidate_sha256="2" * 64, inputs_sha256="3" * 64, hardware_class="other"
    )
    one = asked(material, candidate, comparison=timed, build=build(artifact_sha256="4" * 64)).identity

    assert (one.baseline_sha256, one.candidate_sha256) == (material.baseline.digest, candidate.digest)
    assert (one.timed_baseline_sha256, one.timed_candidate_sha256) == ("1" * 64, "2" * 64)
    assert (one.timed_inputs_sha256, one.built_sha256, one.timed_hardware_class) == ("3" * 64, "4" * 64, "other")
    assert (one.hardware_class, one.isa_flags) == (machine.read_card().hardware_class, machine.read_card().isa_flags)


def test_what_was_neither_timed_nor_built_has_no_digest(candidate: Artifact) -> None:
    """Unknown is None, so that no gate takes it for the same."""
    one = asked(material_of(Words()), candidate).identity

    assert (one.timed_baseline_sha256, one.timed_candidate_sha256, one.timed_inputs_sha256) == (None, None, None)
    assert (one.timed_hardware_class, one.built_sha256) == (None, None)


@pytest.mark.parametrize(
    ("verdicts", "is_brief"),
    [(("REGRESSION", "REGRESSION"), True), (("REGRESSION", "PASS"), False), (("IMPROVEMENT",), False), ((), False)],
)
def test_what_is_slower_everywhere_is_asked_the_test_split_alone(
    candidate: Artifact, verdicts: tuple[Any, ...], is_brief: bool
) -> None:
    """It cannot be shipped whatever it answers, and asking it the rest would take longest of all."""
    shown = tuple(scenario(f"scenario {place}", verdict) for place, verdict in enumerate(verdicts))
    timed = dataclasses.replace(comparison(), scenarios=shown)
    found = asked(material_of(Words()), candidate, comparison=timed)

    assert len(found.paired) == Words.test_count
    assert (found.probes is None, found.invariance == (), SLOWER_NOTE in found.notes) == (is_brief,) * 3


def test_what_is_known_beforehand_is_handed_on(candidate: Artifact) -> None:
    """The churn that somebody measured, the digest of the split, and the overlaps that were looked for."""
    material = material_of(Words())
    far = Distances(0.98, 0.9, 0.01, 0.001, 0.1, 0.2, 0.3, 0.99, None)
    churn = Churn("words", "b" * 64, "r" * 64, "s" * 64, 80, 0.01, 0.02, far, None, ())
    found = asked(material, candidate, churn=churn)

    assert found.churn is churn
    assert asked(material, candidate).churn is None
    assert found.split_sha256 == material.splits.test.digest()
    assert [one.split for one in found.overlaps] == ["calibration", "tuning", "train"]
    assert found.overlaps == material.overlaps


# --- what cannot be asked -----------------------------------------------------------------------------------------


def test_sentiment_of_texts_is_asked_everything(candidate: Artifact) -> None:
    """Notes are only those of the data."""
    found = asked(material_of(Words()), candidate)
    assert found.probes is not None

    assert {probe.suite for probe in found.probes.probes} == set(SUITES)
    assert found.absent_suites == ()
    assert found.notes == ("Made by hand.",)


def test_near_repeats_of_test_texts_are_noted(candidate: Artifact) -> None:
    """They are no reason to refuse anything, so somebody has to read of them."""
    material = material_of(Words())
    two, none, one = (
        dataclasses.replace(overlap, near_count=count)
        for overlap, count in zip(material.overlaps, (2, 0, 1), strict=True)
    )
    found = asked(dataclasses.replace(material, overlaps=(two, none, one)), candidate)

    assert found.notes[-1] == "Texts that nearly repeat a test text: 2 in calibration, 1 in train."


def test_images_have_no_probes(tmp_path: Path) -> None:
    """The suites are absent and the notes say which gates are not asked; answers are asked as those to texts."""
    workload = Digits()
    table = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
    baseline = write_model(tmp_path / "digits", table, labels=workload.labels)
    model = Counting(write_model(tmp_path / "others", table[:, ::-1].copy(), labels=workload.labels))
    material = material_of(workload, baseline=baseline)
    found = asked(material, model)

    assert (material.probes, material.probe_inputs, found.probes) == ((), None, None)
    assert found.absent_suites == SUITES
    assert found.notes == (
        "These inputs are no texts, so A9 to A11 cannot be asked.",
        "Equalised odds ask for two classes, so A8-odds cannot be asked here.",
    )
    assert set(found.paired.slices) == {"label", "baseline margin"}
    assert (found.long_ratio, found.cut_ratio) == (None, 0)
    assert {one.what for one in found.invariance} == {
        *("asked again", "one at a time", "batches of 8", "batches of 32, other neighbours")
    }
    assert len(model.asked) == 1 + 5
    assert sum(one.near_count for one in found.overlaps) == 0


@pytest.mark.parametrize(("workload", "has_odds"), [(Reversed(), True), (Grades(), False)], ids=["order", "three"])
def test_texts_with_other_labels_are_asked_perturbations_only(tmp_path: Path, workload: Words, has_odds: bool) -> None:
    """What is said about people and behaviour is made for two classes in one order, and the notes say so."""
    model = write_model(tmp_path / "candidate", workload.table() / 2, labels=workload.labels)
    found = asked(material_of(workload), model)
    assert found.probes is not None

    assert {probe.suite for probe in found.probes.probes} == {"perturbation"}
    assert found.absent_suites == ("counterfactual", "behaviour")
    assert found.notes[1] == "A10 and A11 ask for the classes negative and positive, so they cannot be asked here."
    assert any("A8-odds" in note for note in found.notes) == (not has_odds)
    assert len(found.notes) == (2 if has_odds else 3)


def test_every_suite_is_known_to_the_gates() -> None:
    """A suite that is absent takes its gates with it, so its name has to be the gates' own."""
    from perflib.validation.gates import GATES, Limit, judge
    from tests.synthetic_records import full_validation

    limits = {"lossy": {gate: Limit(1.0, "us") for gate in GATES}}
    gone = {
        suite: {gate.id for gate in judge(full_validation(), limits).gates}
        - {gate.id for gate in judge(full_validation(absent_suites=(suite,)), limits).gates}
        for suite in ask_module.SUITES
    }

    assert gone == {
        "perturbation": {"A9"},
        "counterfactual": {"A10-flips", "A10-gap", "A10-mean"},
        "behaviour": {"A11"},
    }
