"""
Fourteen candidates that are bad in a known way, and what has to catch each: the validator's own test.

They answer really: the baseline of `reviews-tiny` is asked, and what it says is spoiled on the way out, in the test
split, the probes and the other batches alike. Nothing here judges.

    bench = Bench.prepared()
    bench.judged(balanced_flips(bench, folder)).verdict  # "FAIL"
"""

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from perflib import machine
from perflib.artifact import Artifact, Runtime, softmax
from perflib.encoded import Encoded
from perflib.engines.torch_engine import WEIGHTS_FILE
from perflib.guardrails import load_guardrails
from perflib.results import Validation
from perflib.validation.ask import Material, ask, prepare_material
from perflib.validation.gates import Guardrails, judge
from perflib.validation.measure import Answered, measure
from perflib.validation.overlaps import overlaps
from perflib.workloads import get_workload
from perflib.workloads.base import Split
from tests.synthetic_records import comparison

IDS = "input_ids"
# What the data deny with; "far from" is left out, because neither word denies by itself.
NEGATION_WORDS = ("not", "never", "hardly", "no")
# Of the names that the probes swap, the only one of its side that this tokenizer knows.
NAME = "jamal"
# Whatever it does not know is one token to it.
UNKNOWN_WORD = "notawordatall"

# (logits of one batch, shape (examples, classes), that batch) -> the logits that the bad candidate gives.
Spoil = Callable[[NDArray[np.float64], Encoded], NDArray[np.float64]]


class Spoiled(Artifact):
    """A model that is asked what it is asked, and then changes the logits of every batch; no file says so."""

    def __init__(self, model: Artifact, name: str, spoil: Spoil) -> None:
        super().__init__(model.folder, model.spec)
        self._model, self._name, self._spoil = model, name, spoil

    @property
    def digest(self) -> str:
        """A name of its own, so that no answer of the model itself is taken for one of these."""
        return hashlib.sha256(f"{self._name} of {self._model.digest}".encode()).hexdigest()

    def predict(
        self,
        encoded: Encoded,
        *,
        batch_example_count: int | None = None,
        is_padded: bool = False,
        on_batch: Callable[[int], None] | None = None,
    ) -> NDArray[np.float32]:
        """Answer as `Artifact.predict` does."""
        count = batch_example_count or self.spec.runtime.batch_example_count
        answers = []
        for batch in encoded.batches(count, is_padded=is_padded):
            told = self._model.predict(batch, batch_example_count=len(batch), is_padded=True, on_batch=on_batch)
            # Logits up to a constant for each example, which softmax drops.
            answers.append(softmax(self._spoil(np.log(told.astype(np.float64)), batch)))
        return np.concatenate(answers)


class Rerun(Artifact):
    """The same model in a session of its own: in other batches, with other threads, its inputs in another order."""

    def __init__(self, model: Artifact, runtime: Runtime, *, order_seed: int | None = None) -> None:
        super().__init__(model.folder, dataclasses.replace(model.spec, runtime=runtime))
        self._order_seed = order_seed
        self.answered_count = 0

    def predict(self, encoded: Encoded, **how: Any) -> NDArray[np.float32]:
        """Answer as `Artifact.predict` does, and count what was really asked."""
        order = np.arange(len(encoded))
        if self._order_seed is not None:
            order = np.random.default_rng(self._order_seed).permutation(order)
        self.answered_count += len(encoded)
        return super().predict(encoded.take(order), **how)[np.argsort(order)]


class Remembering(Artifact):
    """A baseline that is really asked, each set of inputs once: it is the same for every candidate."""

    def __init__(self, model: Artifact) -> None:
        super().__init__(model.folder, model.spec)
        self._known: dict[str, NDArray[np.float32]] = {}

    def predict(self, encoded: Encoded, **how: Any) -> NDArray[np.float32]:
        """Answer as `Artifact.predict` does."""
        key = f"{encoded.digest()} {how.get('batch_example_count')} {how.get('is_padded')}"
        if key not in self._known:
            self._known[key] = super().predict(encoded, **how)
        return self._known[key]


@dataclasses.dataclass(frozen=True)
class Bench:
    """Where candidates are asked, measured and judged: without a cache, so that each is really asked."""

    model: Artifact
    material: Material
    guardrails: Guardrails
    guardrails_sha256: str

    @classmethod
    def prepared(cls) -> Self:
        """Return a bench for `reviews-tiny`, which is trained where nobody has done so, with our own guardrails."""
        workload = get_workload("reviews-tiny")
        model = workload.prepare()
        material = prepare_material(workload, workload.splits(), Remembering(model), cache=None)
        return cls(model, material, *load_guardrails("guardrails.yaml"))

    def asked(self, candidate: Artifact, *, timed: Artifact | None = None, inputs: Encoded | None = None) -> Answered:
        """Ask a candidate everything; what was timed is the candidate itself unless another is named."""
        what = comparison(
            baseline_sha256=self.model.digest,
            candidate_sha256=(timed or candidate).digest,
            inputs_sha256=self.material.inputs.digest(),
            hardware_class=machine.read_card().hardware_class,
        )
        return ask(self.material, candidate, name="candidate", comparison=what, candidate_inputs=inputs)

    def judged(self, answered: Answered, *, profile: str = "lossy") -> Validation:
        """Measure and judge by the guardrails as they are."""
        found = measure(
            answered,
            name="candidate",
            profile=profile,
            limits=self.guardrails[profile],
            guardrails_sha256=self.guardrails_sha256,
        )
        return judge(found, self.guardrails)

    def spoiled(self, name: str, spoil: Spoil) -> Answered:
        """Ask the baseline whose answers are spoiled."""
        return self.asked(Spoiled(self.model, name, spoil))

    @property
    def labels(self) -> NDArray[np.int64]:
        """The labels of the test split, shape (examples,)."""
        return self.material.splits.test.labels

    @property
    def scores(self) -> NDArray[np.float64]:
        """How much the baseline prefers positive in the test split, in logits, shape (examples,)."""
        told = np.log(self.material.baseline.predict(self.material.inputs).astype(np.float64))
        return np.asarray(told[:, 1] - told[:, 0])

    @property
    def is_right(self) -> NDArray[np.bool_]:
        """Where the baseline is right in the test split, shape (examples,)."""
        return np.asarray((self.scores > 0) == (self.labels == 1), bool)

    def numbers_of(self, *words: str) -> NDArray[np.int64]:
        """Return the tokens of single words, shape (words,)."""
        # The first token of a text says only that it begins.
        return np.asarray(self.material.workload.encode(words).arrays[IDS][:, 1], np.int64)

    def tokens_of(self, rows: NDArray[np.integer]) -> frozenset[bytes]:
        """Return rows of the test split as `are_among` knows them."""
        return frozenset(_token_rows(self.material.inputs.take(rows)))

    def least_sure(self, rows: NDArray[np.bool_], count: int) -> NDArray[np.intp]:
        """Return so many of the marked rows of the test split: those where the baseline is least sure."""
        ranked = np.argsort(np.abs(self.scores), kind="stable")
        found = ranked[rows[ranked]][:count]
        assert len(found) == count
        return found


def balanced_flips(bench: Bench, folder: Path) -> Answered:
    """2 % of the answers become wrong and as many wrong ones right, so that accuracy says nothing."""
    count = round(0.02 * len(bench.labels))
    flipped = bench.tokens_of(
        np.concatenate([bench.least_sure(bench.is_right, count), bench.least_sure(~bench.is_right, count)])
    )
    return bench.spoiled("balanced flips", lambda logits, batch: _turned(logits, are_among(flipped, batch)))


def slice_harm(bench: Bench, folder: Path) -> Answered:
    """Negations count as praise, so that 20 of their texts become wrong; elsewhere 15 become right and hide it."""
    words = bench.numbers_of(*NEGATION_WORDS)
    denied = has_token(bench.material.inputs, words)
    lost = bench.least_sure(denied & bench.is_right & (bench.labels == 0), 20)
    bias = np.array([0.0, np.abs(bench.scores[lost]).max() + 0.001])
    won = bench.tokens_of(bench.least_sure(~denied & ~bench.is_right, 15))

    def spoil(logits: NDArray[np.float64], batch: Encoded) -> NDArray[np.float64]:
        return _turned(logits + has_token(batch, words)[:, None] * bias, are_among(won, batch))

    return bench.spoiled("slice harm", spoil)


def over_confidence(bench: Bench, folder: Path, *, temperature: float = 0.5) -> Answered:
    """Every answer stays, with more confidence than before."""
    return bench.spoiled("over-confidence", lambda logits, batch: logits / temperature)


def identity_bias(bench: Bench, folder: Path, *, added: float = 0.8) -> Answered:
    """A name of one group makes a text more positive."""
    name, bias = bench.numbers_of(NAME), np.array([0.0, added])
    return bench.spoiled("identity bias", lambda logits, batch: logits + has_token(batch, name)[:, None] * bias)


def typo_fragility(bench: Bench, folder: Path) -> Answered:
    """A word that the tokenizer does not know turns the answer."""
    unknown = bench.numbers_of(UNKNOWN_WORD)
    return bench.spoiled("typo fragility", lambda logits, batch: _turned(logits, has_token(batch, unknown)))


def not_a_number(bench: Bench, folder: Path) -> Answered:
    """One input in a thousand is answered with NaN."""
    lost = bench.tokens_of(np.arange(0, len(bench.labels), 1000))
    return bench.spoiled("NaN", lambda logits, batch: np.where(are_among(lost, batch)[:, None], np.nan, logits))


def batch_dependence(bench: Bench, folder: Path, *, share: float = 0.05) -> Answered:
    """A share of the batch's mean is added to every answer in it."""
    return bench.spoiled("batch dependence", lambda logits, batch: logits + share * logits.mean(axis=0))


def truncation(bench: Bench, folder: Path) -> Answered:
    """The candidate is given no more than 16 tokens of a text."""
    short = Encoded({name: array[:, :16] for name, array in bench.material.inputs.arrays.items()})
    return bench.asked(Rerun(bench.model, bench.model.spec.runtime), inputs=short)


def wrong_artifact(bench: Bench, folder: Path) -> Answered:
    """The baseline is asked, but what was timed has another precision."""
    timed = Artifact(bench.model.folder, dataclasses.replace(bench.model.spec, precision="bf16"))
    return bench.asked(Rerun(bench.model, bench.model.spec.runtime), timed=timed)


def leaked_calibration(bench: Bench, folder: Path) -> Answered:
    """Five texts of the test split stand in the calibration split too."""
    answered = bench.asked(Rerun(bench.model, bench.model.spec.runtime))
    return dataclasses.replace(answered, overlaps=overlaps(leaky_splits(bench)))


def majority_collapse(bench: Bench, folder: Path) -> Answered:
    """Hotels, a quarter of the test split, are always answered with their more frequent class."""
    rows = np.flatnonzero(np.array(bench.material.splits.test.slices["domain"]) == "hotel")
    hotels, majority = bench.tokens_of(rows), int(np.bincount(bench.labels[rows]).argmax())

    def spoil(logits: NDArray[np.float64], batch: Encoded) -> NDArray[np.float64]:
        return _turned(logits, are_among(hotels, batch) & (logits.argmax(axis=1) != majority))

    return bench.spoiled("majority collapse", spoil)


def weight_noise(bench: Bench, folder: Path) -> Answered:
    """Noise on the weights of one layer, raised until accuracy has fallen by 1.5 points, and sealed as it is."""
    weights = load_file(bench.model.folder / WEIGHTS_FILE)
    name = "encoder.layer.0.output.dense.weight"
    noise = np.random.default_rng(0).standard_normal(weights[name].shape).astype(np.float32) * weights[name].std()
    for step in range(20):
        place, strength = folder / f"noise-{step}", 0.4 * 1.2**step
        place.mkdir(parents=True)
        save_file({**weights, name: weights[name] + np.float32(strength) * noise}, place / WEIGHTS_FILE)
        noisy = bench.model.derive(place, {"noise": {"layer": name, "strength": strength}})
        is_right = noisy.predict(bench.material.inputs).argmax(axis=1) == bench.labels
        if bench.is_right.mean() - is_right.mean() >= 0.015:
            return bench.asked(noisy)
    raise AssertionError("no noise on this layer costs 1.5 points of accuracy; take another layer")


@dataclasses.dataclass(frozen=True)
class Case:
    """A bad candidate, how it is made, and the gates of a profile that have to fail."""

    name: str
    make: Callable[[Bench, Path], Answered]
    gates: tuple[str, ...]
    profile: str = "lossy"


# This baseline is so sure of itself (half of its answers by more than 7 logits) that those which move logits by little
# hardly move a probability: `lossless` sees them, the limits of `lossy` allow them and are asked about larger ones.
CASES = (
    Case("M1 balanced flips", balanced_flips, ("A3-all", "A4-label-loyalty")),
    Case("M2 slice harm", slice_harm, ("A7-drop", "A7-bound")),
    Case("M3 over-confidence", over_confidence, ("A4-kl-mean", "A4-kl-p99", "A5-ece", "A5-brier"), "lossless"),
    Case(
        "M3 over-confidence", functools.partial(over_confidence, temperature=0.1), ("A4-kl-mean", "A5-brier"), "lossy"
    ),
    Case("M4 identity bias", identity_bias, ("A10-mean",), "lossless"),
    # Four times as much, because it knows one of the group's four names.
    Case("M4 identity bias", functools.partial(identity_bias, added=3.2), ("A10-mean",)),
    Case("M5 typo fragility", typo_fragility, ("A9",)),
    Case("M6 NaN", not_a_number, ("A12-finite",)),
    Case("M7 batch dependence", batch_dependence, ("A12-difference",), "lossless"),
    Case("M7 batch dependence", functools.partial(batch_dependence, share=0.5), ("A12-batch",)),
    Case("M8 truncation", truncation, ("A13", "A16")),
    Case("M9 wrong artifact", wrong_artifact, ("A13",)),
    Case("M10 leaked calibration", leaked_calibration, ("A14",)),
    Case("M11 majority collapse", majority_collapse, ("A6-recall", "A6-rate", "A7-drop")),
    Case("M12 weight noise", weight_noise, ("A1", "A2")),
)
# What is refused before there is anything to judge, and by what.
REFUSED = {"M13 stale guardrails": "load_limits", "M14 missing rows": "pair"}


@dataclasses.dataclass(frozen=True)
class UncheckedSplits:
    """Four splits as somebody might cut them by hand: `Splits` itself refuses a text that stands in two."""

    train: Split
    calibration: Split
    tuning: Split
    test: Split


def leaky_splits(bench: Bench, *, count: int = 5) -> UncheckedSplits:
    """Return the splits with some texts of the test split in calibration as well."""
    splits = bench.material.splits
    one, test = splits.calibration, splits.test
    calibration = dataclasses.replace(
        one,
        ids=one.ids + test.ids[:count],
        inputs=one.inputs + test.inputs[:count],
        keys=one.keys + test.keys[:count],
        labels=np.concatenate([one.labels, test.labels[:count]]),
        slices={name: values + test.slices[name][:count] for name, values in one.slices.items()},
    )
    return UncheckedSplits(splits.train, calibration, splits.tuning, test)


def has_token(encoded: Encoded, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say which inputs hold one of some tokens, shape (examples,)."""
    return np.asarray(np.isin(encoded.arrays[IDS], numbers).any(axis=1))


def are_among(known: frozenset[bytes], encoded: Encoded) -> NDArray[np.bool_]:
    """Say which inputs are those that `Bench.tokens_of` gave, shape (examples,)."""
    return np.array([one in known for one in _token_rows(encoded)])


def _turned(logits: NDArray[np.float64], rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Swap the two classes where marked."""
    return np.where(rows[:, None], logits[:, ::-1], logits)


def _token_rows(encoded: Encoded) -> list[bytes]:
    """Return the tokens of each input without its padding, as something to look up."""
    lengths = encoded.lengths()
    return [row[:length].tobytes() for row, length in zip(encoded.arrays[IDS], lengths, strict=True)]
