"""
Every stage and the good combinations, built from trained baselines as a user would, and asked every tuning example.

The other tests of stages look closely at one of them on random weights; here is what only a trained model shows: that
answers stay right, and that what one stage writes is what the next one takes.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from perflib import machine, project
from perflib.artifact import Artifact, ArtifactSpec, Lineage, Runtime
from perflib.compression.build import build_candidate
from perflib.compression.materials import Labelled, Materials, gather
from perflib.compression.stage import Ingredient, check_recipe, parse_recipe
from perflib.encoded import Encoded
from perflib.engines import aot_engine
from perflib.engines.torch_engine import builder_name
from perflib.params import load_recipe
from perflib.results import Build
from perflib.search.space import read_space
from perflib.workloads import get_workload
from perflib.workloads.bert import mean_pooled_classifier

INT8_PRODUCTS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"}
WEIGHTS = (".safetensors", ".onnx", ".bin", ".pt2")


@dataclasses.dataclass(frozen=True)
class Limits:
    """
    What a kind of candidate may cost on tuning.

    ``mean`` and ``largest`` bound how far an answer given alone is from the same one in a batch of 32.
    """

    drop_ratio: float
    agreement_ratio: float
    mean: float = 1e-6
    largest: float = 1e-4


# Two of 571 texts, and none of 161 images, may be answered otherwise.
LOSSLESS = Limits(0.004, 0.995)
HALF = Limits(0.01, 0.985, mean=5e-4, largest=0.03)
INT8 = Limits(0.02, 0.96, mean=5e-4, largest=0.1)
# Its scales are those of the whole batch, so an answer depends on its neighbours.
INT8_PER_TENSOR = Limits(0.02, 0.96, mean=0.02, largest=0.6)
# Half of what a model loses that is not trained after the cut; guessing would lose 0.46.
SMALLER = Limits(0.08, 0.88)
SMALLER_INT8 = Limits(0.08, 0.88, mean=5e-4, largest=0.1)


@dataclasses.dataclass(frozen=True)
class Case:
    """A recipe, what it may cost, how small its weights are at most, and what its proofs must say."""

    name: str
    recipe: tuple[Any, ...]
    limits: Limits
    bytes_ratio: float = 1.05
    least_bytes_ratio: float = 0.0
    int8_ratio: float | None = None
    workload: str = "reviews-tiny"


def stage(name: str, /, **options: Any) -> dict[str, Any]:
    """Write one line of a recipe."""
    return {name: options}


def cut(**options: Any) -> dict[str, Any]:
    """Prune and train on for one epoch."""
    return stage("prune", finetune_epochs=1, learning_rate=1e-3, score_examples=128, **options)


INT8_LINE = stage("quantize", calibration_examples=64)
BUCKETS, SORTED = stage("engine", shapes="bucketed"), stage("runtime", batching="sorted", batch=16)
STUDENT = stage("distil", layers=1, epochs=2, learning_rate=2e-3, arithmetic="fp32")
NARROW = cut(heads_ratio=0.25, neurons_ratio=0.5, score="gradient")
NEAREST = stage("vocabulary", keep=160, dropped="nearest")
SMALL_NET = stage("distil", channels=[12, 24], epochs=12, learning_rate=5e-3, arithmetic="fp32")
INT8_IMAGES = stage("quantize", calibration_examples=32)

needs_cores = pytest.mark.skipif(machine.thread_count() < 2, reason="two replicas need two cores")
needs_int8 = pytest.mark.skipif(
    not INT8_PRODUCTS & set(machine.read_card().isa_flags), reason="the processor has no int8 products"
)
needs_compiler = pytest.mark.skipif(not aot_engine.has_compiler(), reason="needs a C++ compiler (g++ or clang++)")

CASES = [
    Case("bf16", (stage("precision", even_if_emulated=True),), HALF, 0.55, 0.45),
    Case("int8", (INT8_LINE,), INT8, 0.45, int8_ratio=0.9),
    pytest.param(
        Case("int8-dynamic", (stage("quantize", scheme="int8-dynamic"),), INT8, 0.45, int8_ratio=0.9), marks=needs_int8
    ),
    Case("int8-weights", (stage("quantize", scheme="int8-weights"),), LOSSLESS, 0.45),
    Case("qat", (stage("quantize", scheme="int8-qat", calibration_examples=64),), INT8, 0.45, int8_ratio=0.9),
    Case("onnx-static", (stage("quantize", engine="onnxruntime", calibration_examples=64),), INT8, 0.8, int8_ratio=0.9),
    Case(
        "onnx-dynamic",
        (stage("quantize", engine="onnxruntime", scheme="int8-dynamic"),),
        INT8_PER_TENSOR,
        0.55,
        int8_ratio=0.9,
    ),
    Case("openvino", ("engine",), LOSSLESS),
    Case("fixed", (stage("engine", shapes="fixed"),), LOSSLESS),
    Case("bucketed", (BUCKETS,), LOSSLESS),
    Case("onnxruntime", (stage("engine", name="onnxruntime"),), LOSSLESS),
    Case("sorted", (stage("runtime", batching="sorted"),), LOSSLESS),
    Case("token-budget", (stage("runtime", batching="token-budget", tokens=512),), LOSSLESS),
    pytest.param(Case("replicas", (stage("runtime", replicas=2),), LOSSLESS), marks=needs_cores),
    *(
        Case(f"prune-{score}", (cut(heads_ratio=0.25, neurons_ratio=0.5, score=score),), SMALLER, 0.8)
        for score in ("magnitude", "activation", "gradient")
    ),
    Case("prune-layers", (stage("prune", layers=[0], finetune_epochs=2, learning_rate=2e-3),), SMALLER, 0.7),
    Case("prune-weights", (cut(weights_ratio=0.5),), SMALLER, least_bytes_ratio=0.95),
    Case("distil-layers", (STUDENT,), SMALLER, 0.7),
    Case("distil-ffn", (stage("distil", ffn=16, epochs=1, arithmetic="fp32"),), SMALLER, 0.8),
    Case("vocabulary-seen", ("vocabulary",), LOSSLESS),
    Case("vocabulary-nearest", (NEAREST,), SMALLER, 0.95),
    Case("best", (STUDENT, NEAREST, INT8_LINE, BUCKETS, SORTED), SMALLER_INT8, 0.3, int8_ratio=0.9),
    Case("small-and-safe", (NEAREST, INT8_LINE, BUCKETS, SORTED), SMALLER_INT8, 0.4, int8_ratio=0.9),
    Case("prune-int8", (NARROW, INT8_LINE), SMALLER_INT8, 0.35, int8_ratio=0.9),
    Case("distil-prune-int8", (STUDENT, NARROW, INT8_LINE), SMALLER_INT8, 0.3, int8_ratio=0.9),
    pytest.param(
        # Compiled code is larger than so small a model.
        Case(
            "distil-pt2e",
            (STUDENT, stage("quantize", engine="inductor", calibration_examples=32), SORTED),
            SMALLER_INT8,
            100,
            int8_ratio=0.9,
        ),
        marks=[needs_compiler, needs_int8],
    ),
    Case("images-bf16", (stage("precision", even_if_emulated=True),), HALF, 0.55, 0.45, workload="digits"),
    Case("images-int8", (INT8_IMAGES,), INT8, 0.45, int8_ratio=0.9, workload="digits"),
    Case(
        "images-onnx-static",
        (stage("quantize", engine="onnxruntime", calibration_examples=32),),
        INT8,
        0.7,
        int8_ratio=0.9,
        workload="digits",
    ),
    Case("images-fixed", (stage("engine", shapes="fixed"),), LOSSLESS, workload="digits"),
    Case(
        "prune-channels",
        (stage("prune", channels_ratio=0.25, finetune_epochs=5, learning_rate=3e-3),),
        SMALLER,
        0.65,
        workload="digits",
    ),
    Case("distil-channels", (SMALL_NET,), SMALLER, 0.65, workload="digits"),
    Case(
        "distil-channels-int8",
        (SMALL_NET, INT8_IMAGES, stage("engine", shapes="fixed")),
        SMALLER_INT8,
        0.3,
        int8_ratio=0.9,
        workload="digits",
    ),
]
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@dataclasses.dataclass(frozen=True)
class Bench:
    """A trained baseline, what stages may use, and the baseline's answers to the tuning split."""

    baseline: Artifact
    materials: Materials
    tuning: Labelled
    expected: NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Built:
    """A candidate, its record, and its answers as served, one by one, and in batches of 32."""

    artifact: Artifact
    build: Build
    again: Build
    served: NDArray[np.float32]
    alone: NDArray[np.float32]
    together: NDArray[np.float32]


@functools.cache
def bench(workload: str) -> Bench:
    """Prepare a workload, once."""
    found = get_workload(workload)
    baseline = found.prepare()
    materials = gather(found, found.splits())
    tuning = materials.labelled("tuning", stage="test")
    return Bench(baseline, materials, tuning, baseline.predict(tuning.inputs))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Built]:
    """Return a function that builds a case, once, in one cache, so that recipes share how they begin."""
    place = tmp_path_factory.mktemp("every-stage")
    done: dict[str, Built] = {}

    def make(case: Case) -> Built:
        if case.name not in done:
            done[case.name] = _build(case, place)
        return done[case.name]

    return make


def _build(case: Case, place: Path) -> Built:
    """Build twice, load what the first build wrote, and ask it everything."""
    found, recipe = bench(case.workload), parse_recipe(case.recipe)
    (_, build), (_, again) = (
        build_candidate(
            case.name,
            recipe,
            parent=found.baseline,
            folder=place / name,
            materials=found.materials,
            cache=place / "cache",
        )
        for name in (case.name, f"{case.name}-again")
    )
    asked = Artifact.load(place / case.name)
    answers = [asked.predict(found.tuning.inputs, batch_example_count=count) for count in (None, 1, 32)]
    # Loaded once more, so that no session is kept open.
    return Built(Artifact.load(place / case.name), build, again, *answers)


def weight_bytes(artifact: Artifact) -> int:
    """Count the weights alone: the graph of so small a model is larger than they are."""
    return sum(file.bytes for file in artifact.spec.files if file.path.endswith(WEIGHTS))


def as_recorded(line: Ingredient) -> dict[str, Any]:
    """Return a line with all its options, as a record holds it after it was read from JSON."""
    options: dict[str, Any] = dataclasses.asdict(line.stage)  # type: ignore[call-overload]
    return {line.name: {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}}


@each
def test_it_answers_every_tuning_example_about_as_well(built: Callable[[Case], Built], case: Case) -> None:
    """Probabilities are probabilities, accuracy stays within the bound of its kind, and so do single answers."""
    found, made = bench(case.workload), built(case)
    labels, given, expected = found.tuning.labels, made.served.argmax(axis=1), found.expected.argmax(axis=1)

    assert made.served.shape == found.expected.shape
    for answers in (made.served, made.alone, made.together):
        assert np.isfinite(answers).all()
        np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert float((expected == labels).mean() - (given == labels).mean()) <= case.limits.drop_ratio
    assert float((given == expected).mean()) >= case.limits.agreement_ratio


@each
def test_an_answer_has_its_own_place_and_no_neighbours(built: Callable[[Case], Built], case: Case) -> None:
    """Alone, in a batch of 32 and as served an example is answered alike, as far as its arithmetic allows."""
    made = built(case)
    for answers in (made.together, made.served):
        differences = np.abs(answers - made.alone)

        assert float(differences.mean()) <= case.limits.mean
        assert float(differences.max()) <= case.limits.largest


@each
def test_its_record_tells_every_line_and_what_was_predicted(built: Callable[[Case], Built], case: Case) -> None:
    """The lineage has each stage with all its options, and what came out is what was said before any work."""
    found, made, recipe = bench(case.workload), built(case), parse_recipe(case.recipe)
    spec, parents = made.artifact.spec, [found.baseline.digest, *(step.artifact_sha256 for step in made.build.steps)]
    predicted = check_recipe(recipe, found.baseline.spec, found.materials)
    known = ("engine", "precision", "builder", "config", "labels", "runtime")

    assert spec.lineage.recipe == (*found.baseline.spec.lineage.recipe, *(as_recorded(line) for line in recipe))
    assert spec.lineage.workload == case.workload
    assert spec.lineage.parent_sha256 == parents[-2]
    assert made.build.artifact_sha256 == made.artifact.digest == parents[-1]
    assert [getattr(spec, name) for name in known] == [getattr(predicted, name) for name in known]


@each
def test_it_is_as_small_as_promised_and_its_kernels_are_proved(built: Callable[[Case], Built], case: Case) -> None:
    """Weights are as many bytes as the technique says, and where products are to be in int8 a proof says so."""
    made = built(case)
    ratio = weight_bytes(made.artifact) / bench(case.workload).baseline.size_bytes

    assert case.least_bytes_ratio <= ratio <= case.bytes_ratio
    assert made.build.size_bytes == made.artifact.size_bytes
    if case.int8_ratio is not None:
        (proof,) = [step.proof for step in made.build.steps if step.stage == "quantize"]
        assert proof["low_precision_share_ratio"] >= case.int8_ratio


@each
def test_a_second_build_builds_nothing(built: Callable[[Case], Built], case: Case) -> None:
    """All comes from the cache, and it is the same artifact at the same one-time cost."""
    made = built(case)

    assert all(step.is_cached for step in made.again.steps)
    assert made.again.artifact_sha256 == made.build.artifact_sha256
    assert made.again.build_sec == made.build.build_sec


def test_a_stand_in_for_dropped_words_is_better_than_none(built: Callable[[Case], Built]) -> None:
    """With a third of the words gone, their neighbours keep answers that the unknown token loses."""
    tuning = bench("reviews-tiny").tuning
    unknown = Case("unknown", (stage("vocabulary", keep=160),), SMALLER)
    nearest = Case("vocabulary-nearest", (NEAREST,), SMALLER)
    accuracies = [float((built(case).served.argmax(axis=1) == tuning.labels).mean()) for case in (unknown, nearest)]

    assert accuracies[0] < accuracies[1] - 0.05


# --- the files of the project -----------------------------------------------------------------------------------------

CONFIG = {
    "vocab_size": 30522,
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "pad_token_id": 0,
    "layer_norm_eps": 1e-12,
    "initializer_range": 0.02,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "class_count": 2,
}
EVERY_FLAG = ("avx2", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16")


@pytest.fixture
def mini_lm(monkeypatch: pytest.MonkeyPatch) -> tuple[ArtifactSpec, Materials]:
    """Describe a MiniLM and six hundred texts, on a machine with two cores, a compiler and every product."""
    card = dataclasses.replace(machine.read_card(), isa_flags=EVERY_FLAG)
    monkeypatch.setattr(machine, "read_card", lambda: card)
    monkeypatch.setattr(machine, "thread_count", lambda: 2)
    monkeypatch.setattr(aot_engine, "find_compiler", lambda: "g++")
    spec = ArtifactSpec(
        engine="torch",
        precision="fp32",
        builder=builder_name(mean_pooled_classifier),
        config=CONFIG,
        labels=("negative", "positive"),
        runtime=Runtime(),
        files=(),
        lineage=Lineage("sentiment-minilm", None, (), {}),
    )
    texts = make_texts(600)
    labelled = Labelled(texts, np.arange(600) % 2)
    return spec, Materials(texts, labelled, labelled, encode=lambda unheard: make_texts(len(unheard), length=1))


def make_texts(count: int, *, length: int | None = None) -> Encoded:
    """Make texts of 1 to 40 words between the tokens that BERT's tokenizer puts at the ends; one word is unknown."""
    lengths = (np.arange(count) % 40 + 1 if length is None else np.full(count, length)) + 2
    columns = np.arange(lengths.max())
    mask = (columns < lengths[:, None]).astype(np.int64)  # (texts, tokens)
    words = np.random.default_rng(0).integers(1000, 30000, mask.shape) if length is None else np.full(mask.shape, 100)
    ids = np.where(columns == 0, 101, np.where(columns == lengths[:, None] - 1, 102, words)) * mask
    return Encoded({"input_ids": ids, "attention_mask": mask})


FILES = sorted((project.root() / "params" / "experiments").glob("*.yaml"))
SPACES = sorted((project.root() / "params" / "spaces").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_recipe_of_every_experiment_can_be_built(mini_lm: tuple[ArtifactSpec, Materials], path: Path) -> None:
    """No stage refuses a file of the project on the model that it was written for."""
    name, lines = load_recipe(path)

    assert name == path.stem
    check_recipe(parse_recipe(lines), *mini_lm)


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_every_combination_of_a_space_can_be_built(mini_lm: tuple[ArtifactSpec, Materials], path: Path) -> None:
    """A space of the project has no alternative that never comes to anything."""
    space = read_space(path)

    assert space.combinations
    assert space.refusals(*mini_lm) == {}


def test_there_are_recipes_and_spaces() -> None:
    """Otherwise the two tests above would pass by looking at nothing."""
    assert (len(FILES) > 20, len(SPACES) > 1) == (True, True)
