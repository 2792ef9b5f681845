"""What can be wrong with a recipe: refused in one sentence, before any work where it can be known, and tidily."""

import dataclasses
import errno
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from perflib.artifact import Artifact, Lineage, Runtime
from perflib.compression.build import build_candidate
from perflib.compression.materials import Labelled, Materials
from perflib.compression.stage import parse_recipe
from perflib.encoded import Encoded
from perflib.engines.torch_engine import builder_name, model_builder, save_module
from perflib.errors import ParameterError, PerflibError, SetupError, StageError
from perflib.workloads import get_workload
from perflib.workloads.convnet import small_convnet
from tests.test_cli import assert_one_sentence, leave
from tests.tiny_artifact import make_inputs, write_artifact

UNKNOWN, EXAMPLES_COUNT = 39, 24
INPUTS = make_inputs(EXAMPLES_COUNT)
LABELLED = Labelled(INPUTS, np.arange(EXAMPLES_COUNT) % 3)
IMAGES = Encoded({"images": np.random.default_rng(0).random((EXAMPLES_COUNT, 1, 8, 8), np.float32)})
NET = {"channels_counts": [4, 8], "class_count": 3}
BF16, INT8 = {"precision": {"even_if_emulated": True}}, {"quantize": {"calibration_examples": 8}}
QAT = {"quantize": {"calibration_examples": 8, "scheme": "int8-qat"}}
ONNX_INT8 = {"quantize": {"calibration_examples": 8, "engine": "onnxruntime"}}
STUDENT, TRIM = {"distil": {"layers": 1}}, {"vocabulary": {"keep": 20}}
NARROW = {"prune": {"neurons_ratio": 0.5}}


def encode(texts: Any) -> Encoded:
    """Make one unknown token of every text."""
    return Encoded(
        {
            "input_ids": np.full((len(texts), 1), UNKNOWN),
            "attention_mask": np.ones((len(texts), 1), np.int64),
        }
    )


TEXTS = Materials(INPUTS, LABELLED, LABELLED, encode)
PICTURES = Materials(IMAGES, Labelled(IMAGES, LABELLED.labels), Labelled(IMAGES, LABELLED.labels))


def seal(folder: Path, builder: Callable[[dict[str, Any]], nn.Module], config: dict[str, Any]) -> Artifact:
    """Write a torch artifact of any architecture."""
    save_module(builder(config), folder)
    return Artifact.seal(
        folder,
        engine="torch",
        precision="fp32",
        builder=builder_name(builder),
        config=config,
        labels=("bad", "fair", "good"),
        runtime=Runtime(thread_count=1),
        lineage=Lineage("toy", None, (), {}),
    )


@dataclasses.dataclass(frozen=True)
class Bench:
    """A parent beside a cache that holds one good build, and an older candidate that must stay."""

    folder: Path
    parent: Artifact
    materials: Materials

    def build(self, recipe: list[Any], **settings: Any) -> Artifact:
        """Build the recipe where the older candidate lies."""
        made, _ = build_candidate(
            "mine",
            parse_recipe(recipe),
            parent=self.parent,
            folder=self.folder / "mine",
            materials=self.materials,
            cache=self.folder / "cache",
            **settings,
        )
        return made

    def content(self) -> dict[str, bytes]:
        """
        Return every file and folder that there is, temporary ones too.

        Left out are the locks of the cache with their folders, and what is kept for an interrupted training.
        """
        left_out = set((self.folder / "cache").iterdir())
        left_out |= {path for kept in self.folder.rglob("*.scratch") for path in (kept, *kept.rglob("*"))}
        found = {path for path in self.folder.rglob("*") if path.suffix != ".lock"} - left_out
        return {str(path): path.read_bytes() if path.is_file() else b"" for path in found}

    def refuse(self, kind: type[PerflibError], recipe: list[Any], *, is_worked: bool = False) -> str:
        """Build, and return the one sentence that refuses it; nothing was changed and, as a rule, nothing begun."""
        before = self.content()
        clock = (lambda: 0.0) if is_worked else (lambda: pytest.fail("work was begun"))
        with pytest.raises(kind) as caught:
            self.build(recipe, clock=clock)
        said = str(caught.value)

        assert type(caught.value) is kind
        assert said.endswith((".", "?"))
        assert "\n" not in said
        assert self.content() == before
        assert Artifact.load(self.parent.folder).digest == self.parent.digest
        return said


def make_bench(folder: Path, parent: Artifact, materials: Materials, patch: pytest.MonkeyPatch) -> Bench:
    """Send temporary files to the test's folder too, and build something good first."""
    temporary = folder / "tmp"
    temporary.mkdir()
    patch.setattr(tempfile, "tempdir", str(temporary))
    patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder.parent / "inductor"))  # torch makes it when it is imported
    made = Bench(folder, parent, materials)
    made.build([{"runtime": {"batch": 2}}])
    return made


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return a tiny BERT with texts."""
    return make_bench(tmp_path, write_artifact(tmp_path / "parent"), TEXTS, monkeypatch)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return a small convolutional network with images."""
    return make_bench(tmp_path, seal(tmp_path / "parent", small_convnet, NET), PICTURES, monkeypatch)


# --- what is known before any work ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (["quantise"], "did you mean `quantize`?"),
        (["zip"], "known are: distil, engine, precision, prune, quantize, runtime, vocabulary."),
        ([{"quantize": {"calibration_example": 8}}], "did you mean `calibration_examples`?"),
        ([{"distil": {"layer": 1}}], "did you mean `layers`?"),
        ([{"engine": {"name": "tensorrt"}}], "option `name` of stage `engine`"),
        ([{"prune": {"heads_ratio": "half"}}], "option `heads_ratio` of stage `prune`"),
        ([{"quantize": {"calibration_examples": 8.5}}], "option `calibration_examples` of stage `quantize`"),
        ([], "write a list of stages"),
    ],
)
def test_what_no_recipe_can_say(texts: Bench, recipe: list[Any], said: str) -> None:
    """Unknown stages, options and values are found when the recipe is read, with the nearest word."""
    assert said in texts.refuse(ParameterError, recipe)


@pytest.mark.parametrize(
    ("recipe", "place", "said"),
    [
        ([INT8, STUDENT], 2, "stage `distil` takes a torch fp32 artifact, but what comes to it is openvino int8"),
        ([INT8, NARROW], 2, "stage `prune` takes a torch fp32 artifact"),
        (["engine", NARROW], 2, "stage `prune` takes a torch fp32 artifact, but what comes to it is openvino fp32"),
        (["engine", STUDENT], 2, "stage `distil` takes a torch fp32 artifact"),
        (["engine", INT8], 2, "stage `quantize` takes a torch fp32 artifact"),
        (["engine", TRIM], 2, "stage `vocabulary` takes a torch fp32 artifact"),
        (["engine", BF16], 2, "stage `precision` takes a torch fp32 artifact"),
        ([INT8, BF16], 2, "stage `precision` takes a torch fp32 artifact, but what comes to it is openvino int8"),
        ([BF16, INT8], 2, "stage `quantize` takes a torch fp32 artifact, but what comes to it is torch bf16"),
        ([BF16, BF16], 2, "stage `precision` takes a torch fp32 artifact, but what comes to it is torch bf16"),
        ([STUDENT, INT8, INT8], 3, "stage `quantize` takes a torch fp32 artifact, but what comes to it is openvino"),
        ([ONNX_INT8, "engine"], 2, "engine `openvino` takes torch artifacts in fp32 or bf16 and its own"),
        ([INT8, {"engine": {"name": "onnxruntime"}}], 2, "what comes to it is openvino int8"),
        ([TRIM, {"runtime": {}}, TRIM], 3, "the parent's vocabulary is trimmed already (to 20 of 40 tokens)"),
        ([STUDENT, {"distil": {"layers": 1}}], 2, "where its teacher has"),
        ([STUDENT, {"prune": {"layers": [0]}}], 2, "names all 1 layers; leave at least one"),
        (["vocabulary", {"runtime": {"replicas": 0}}], 2, "option `replicas` of stage `runtime` is 0"),
    ],
)
def test_an_impossible_order_is_refused_with_its_place(texts: Bench, recipe: list[Any], place: int, said: str) -> None:
    """What trains or reshapes stands before what quantizes or converts, and the line says where it does not."""
    sentence = texts.refuse(StageError, recipe)

    assert sentence.startswith(f"line {place} of the recipe: ")
    assert said in sentence


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("scheme", ["int8-static", "int8-qat"])
@pytest.mark.parametrize("count", [0, -1, EXAMPLES_COUNT + 1])
def test_a_calibration_that_the_split_cannot_give(texts: Bench, engine: str, scheme: str, count: int) -> None:
    """None and one too many are both refused with what there is; the last that there is, is not."""
    options = {"calibration_examples": count, "scheme": scheme, "engine": engine}

    assert f"asks for {count} calibration examples where the calibration split has {EXAMPLES_COUNT}" in texts.refuse(
        StageError, [{"quantize": options}]
    )


@pytest.mark.parametrize("count", [0, EXAMPLES_COUNT + 1])
@pytest.mark.parametrize(("score", "split"), [("activation", "calibration"), ("gradient", "training")])
def test_a_score_that_the_split_cannot_give(texts: Bench, score: str, split: str, count: int) -> None:
    """The scores of pruning look at examples too."""
    options = {"neurons_ratio": 0.5, "score": score, "score_examples": count}
    sentence = texts.refuse(StageError, [{"prune": options}])

    assert (f"{count} {split} examples" if count else "`score_examples` of stage `prune` is 0") in sentence


@pytest.mark.parametrize("name", ["heads_ratio", "neurons_ratio", "layers_ratio", "weights_ratio"])
@pytest.mark.parametrize("ratio", [1, 1.0, 1.5, -0.25])
def test_a_share_that_leaves_nothing_or_makes_no_sense(texts: Bench, name: str, ratio: float) -> None:
    """All of something, more than all, and less than nothing."""
    said = "would remove everything" if ratio == 1 else "give a share from 0 to below 1"

    assert said in texts.refuse(StageError, [{"prune": {name: ratio}}])


@pytest.mark.parametrize("ratio", [1, -0.5])
def test_a_share_of_channels_that_makes_no_sense(pictures: Bench, ratio: float) -> None:
    """The same holds for convolutions."""
    said = "would remove everything" if ratio == 1 else "give a share from 0 to below 1"

    assert said in pictures.refuse(StageError, [{"prune": {"channels_ratio": ratio}}])


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ([{"prune": {"heads_ratio": 0.5}}], "stage `prune` knows heads, neurons and layers"),
        ([{"distil": {"layers": 1}}], "the parent is a convolutional network; give `channels`"),
        (["vocabulary"], "stage `vocabulary` trims perflib's own BERT"),
        ([{"engine": {"shapes": "bucketed"}}], "these inputs have no length"),
        ([{"quantize": {"calibration_examples": 8, "smooth": 0.5}}], "NNCF smooths transformers only"),
    ],
)
def test_a_technique_of_texts_is_none_of_images(pictures: Bench, recipe: list[Any], said: str) -> None:
    """What a convolutional network has not cannot be cut from it."""
    assert said in pictures.refuse(StageError, recipe)


@pytest.mark.parametrize(
    ("recipe", "missing"),
    [
        (["engine"], "openvino"),
        ([{"engine": {"name": "onnxruntime"}}], "onnxruntime"),
        ([INT8], "nncf"),
        ([ONNX_INT8], "onnxruntime"),
        ([{"quantize": {"engine": "inductor"}}], "torchao"),
        ([STUDENT, TRIM, INT8], "openvino"),
    ],
)
def test_an_engine_that_is_not_installed(
    texts: Bench, monkeypatch: pytest.MonkeyPatch, recipe: list[Any], missing: str
) -> None:
    """It is known before anything is trained, and the sentence has the command that installs it."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == missing else find(name, *rest))
    if recipe[-1] == {"quantize": {"engine": "inductor"}}:
        recipe = [{"quantize": {"engine": "inductor", "calibration_examples": 8}}]
    sentence = texts.refuse(SetupError, recipe)

    assert f"needs {missing}, which is not installed; pip install {missing}" in sentence


def test_channels_cannot_be_cut_without_the_package_for_it(pictures: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is called otherwise than its module."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None)

    assert "pip install torch-pruning" in pictures.refuse(SetupError, [{"prune": {"channels_ratio": 0.5}}])


def test_a_teacher_of_another_task(texts: Bench, tmp_path: Path) -> None:
    """Another workload, another engine and no artifact at all teach nobody."""
    net = seal(tmp_path / "net", small_convnet, NET)
    converted = tmp_path / "converted"
    shutil.copytree(net.folder, converted)
    net.derive(converted, {"engine": {}}, engine="onnxruntime")
    for teacher, said in (
        (net.folder, "is a teacher of another task: toy with the labels bad, fair, good, where toy"),
        (converted, "stage `distil` takes a torch fp32 artifact, but what comes to it is onnxruntime fp32"),
        (tmp_path / "nowhere", "is no folder of an artifact; give one's path"),
    ):
        assert said in texts.refuse(StageError, [{"distil": {"layers": 1, "teacher": str(teacher)}}])


# --- what only the work shows -----------------------------------------------------------------------------------------


@model_builder
def spectral(config: dict[str, Any]) -> nn.Module:
    """Build a model that computes with complex numbers, whose eigenvalues neither engine can find."""

    class Spectral(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(8, config["class_count"])

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(torch.linalg.eigvals(images[:, 0]).real)  # type: ignore[no-any-return]

    return Spectral()


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (["engine"], "OpenVINO cannot convert this model (no rule for aten::linalg_eigvals"),
        ([{"engine": {"name": "onnxruntime"}}], "aten::linalg_eigvals"),
        ([INT8], "aten::linalg_eigvals"),
        ([ONNX_INT8], "aten::linalg_eigvals"),
        ([QAT], "OpenVINO cannot convert this model (no rule for aten::linalg_eigvals"),
    ],
    ids=["openvino", "onnxruntime", "int8 for openvino", "int8 for onnxruntime", "qat"],
)
def test_an_operator_that_the_engine_has_not_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: list[Any], said: str
) -> None:
    """It shows in the conversion only; nothing is left of that."""
    bench = make_bench(tmp_path, seal(tmp_path / "parent", spectral, {"class_count": 3}), PICTURES, monkeypatch)

    assert said in bench.refuse(StageError, recipe, is_worked=True)


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def raising(error: Exception) -> Callable[..., Any]:
    """Return a function that begins to write the file that its second argument names, and then fails."""

    def fail(*given: Any, **options: Any) -> None:
        if len(given) > 1 and isinstance(given[1], Path):
            given[1].write_bytes(b"half")
        raise error

    return fail


WEIGHTS, MODEL = "perflib.engines.torch_engine.save_file", "perflib.engines.openvino_engine.openvino.save_model"
LINK = "perflib.compression.runtime.link_or_copy"


@pytest.mark.parametrize(
    ("recipe", "broken", "error"),
    [
        ([BF16], WEIGHTS, FULL),
        # What safetensors really raises, and what OpenVINO does.
        ([BF16], WEIGHTS, SafetensorError("Error while serializing: I/O error: … (os error 28)")),
        (["engine"], MODEL, RuntimeError("basic_ios::clear: iostream error")),
        ([{"runtime": {"batch": 3}}], LINK, FULL),
        ([BF16], "perflib.compression.build.write_json", FULL),
        ([BF16], "os.fsync", FULL),
        ([BF16, {"runtime": {"batch": 3}}], LINK, FULL),
    ],
    ids=["weights", "safetensors", "openvino", "links", "proof", "record", "second stage"],
)
def test_a_full_disk_leaves_nothing_half_built(
    texts: Bench, monkeypatch: pytest.MonkeyPatch, recipe: list[Any], broken: str, error: Exception
) -> None:
    """Wherever it fills up, it is one sentence, and neither the parent nor an older candidate is touched."""
    if len(recipe) > 1:
        texts.build(recipe[:1])  # what the first stage has built may stay
    with monkeypatch.context() as patch:
        patch.setattr(broken, raising(error))
        if isinstance(error, RuntimeError):  # it tells no reason, so the disk is looked at
            patch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=4096))
        sentence = texts.refuse(SetupError, recipe, is_worked=True)

    assert "cannot be written (No space left on device); free space" in sentence
    assert texts.build(recipe).digest != texts.parent.digest  # with space again, it works


def test_an_engines_own_fault_is_no_full_disk(texts: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With space on the disk an error keeps its name, and nothing stays all the same."""
    monkeypatch.setattr(MODEL, raising(RuntimeError("a fault of its own")))
    before = texts.content()

    with pytest.raises(RuntimeError, match="a fault of its own"):
        texts.build(["engine"])
    assert texts.content() == before


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.fixture
def prepared() -> None:
    """Train the workload of the command line, unless it is in the cache."""
    get_workload("reviews-tiny").prepare()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "does not exist"),
        ("recipe: [\n", "is not plain YAML"),
        ("recipe: []\n", "write a list of stages"),
        ("recipe: [zip]\n", "`zip`"),
        ("recipe: [quantise]\n", "did you mean `quantize`?"),
        ("recipe: [{quantize: {calibration_example: 8}}]\n", "did you mean `calibration_examples`?"),
        ("recipe: [engine, {distil: {layers: 1}}]\n", "line 2 of the recipe: stage `distil` takes a torch fp32"),
        ("recipe: [{quantize: {calibration_examples: 64}}, precision]\n", "line 2 of the recipe: stage `precision`"),
        ("recipe: [{quantize: {calibration_examples: 5000}}]\n", "asks for 5000 calibration examples where the"),
        ("recipe: [{prune: {heads_ratio: 1.0}}]\n", "would remove everything"),
        ("recipe: [{distil: {layers: 1, teacher: /nowhere}}]\n", "is no folder of an artifact"),
    ],
)
@pytest.mark.parametrize("is_named", [False, True], ids=["new folder", "--run-dir"])
@pytest.mark.usefixtures("prepared")
def test_a_bad_recipe_on_the_command_line(
    capsys: pytest.CaptureFixture[str],
    own_folders: Path,
    tmp_path: Path,
    *,
    text: str | None,
    said: str,
    is_named: bool,
) -> None:
    """One sentence, exit code 1, no traceback, and no run folder that nobody needs."""
    path = tmp_path / "recipe.yaml"
    if text is not None:
        path.write_text(text)
    folder = ["--run-dir", str(own_folders / "mine")] if is_named else []
    code, out, error = leave(capsys, "compress", "reviews-tiny", str(path), *folder)

    assert (code, out) == (1, "")
    assert_one_sentence(error)
    assert said in error
    assert not list(own_folders.rglob("*"))


def test_a_workload_that_nobody_knows(capsys: pytest.CaptureFixture[str], own_folders: Path, tmp_path: Path) -> None:
    """It is named with its neighbour before anything is prepared."""
    path = tmp_path / "recipe.yaml"
    path.write_text("recipe: [engine]\n")
    code, out, error = leave(capsys, "compress", "reviews-tinny", str(path))

    assert (code, out) == (1, "")
    assert_one_sentence(error)
    assert "did you mean `reviews-tiny`?" in error
    assert not own_folders.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "does not exist"),
        ("space: [[none, zip]]\nconstraints: {max_accuracy_drop_ratio: 0.02}\n", "`zip`"),
        ("space: [[none, engine]]\n", "lacks `constraints`"),
        ("space: [[none]]\nconstraints: {max_accuracy_drop_ratio: 0.02}\n", "no combination but the baseline"),
        ("space: [[engine]]\nconstraints: {max_accuracy_drop_ratio: 2}\n", "max_accuracy_drop_ratio"),
        ("spaces: [[engine]]\n", "did you mean `space`?"),
    ],
)
def test_a_bad_space_on_the_command_line(
    capsys: pytest.CaptureFixture[str], own_folders: Path, tmp_path: Path, text: str | None, said: str
) -> None:
    """A search that cannot begin leaves one sentence and no folder."""
    path = tmp_path / "space.yaml"
    if text is not None:
        path.write_text(text)
    code, out, error = leave(capsys, "search", "reviews-tiny", "--space", str(path))

    assert (code, out) == (1, "")
    assert_one_sentence(error)
    assert said in error
    assert not own_folders.exists()
