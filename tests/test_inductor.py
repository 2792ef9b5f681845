"""The inductor routes: one package or one compilation for every shape, int8 that is int8, and nothing is unpickled."""

import dataclasses
import functools
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from perflib import machine, project
from perflib.artifact import Artifact, Lineage, Runtime
from perflib.compression.converters import aotinductor, torch_compile
from perflib.compression.engine import Engine
from perflib.compression.materials import Materials
from perflib.compression.quantize import Quantize
from perflib.compression.quantizers import inductor
from perflib.encoded import Encoded
from perflib.engines import aot_engine, compile_engine, torch_engine
from perflib.engines.torch_engine import load_module
from perflib.errors import DataError, PerflibError, SetupError, StageError
from perflib.workloads.convnet import small_convnet
from tests import tiny_artifact
from tests.tiny_artifact import make_inputs, write_artifact

needs_compiler = pytest.mark.skipif(not aot_engine.has_compiler(), reason="needs a C++ compiler (g++ or clang++)")
POSITIONS = 64
LINEARS_COUNT = 7  # six in the one layer, and the head


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """One layer with positions for 64 tokens, random weights."""
    with pytest.MonkeyPatch.context() as patch:
        smaller = tiny_artifact.CONFIG | {"num_hidden_layers": 1, "max_position_embeddings": POSITIONS}
        patch.setattr(tiny_artifact, "CONFIG", smaller)
        return write_artifact(tmp_path_factory.mktemp("inductor") / "parent")


@pytest.fixture(scope="module")
def materials() -> Materials:
    """Texts of one to eight tokens."""
    return Materials(make_inputs(24))


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Compile into a cache of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERFLIB_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def packaged(
    parent: Artifact, materials: Materials, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Artifact, dict[str, Any]]:
    """The parent, really compiled ahead of time."""
    folder = tmp_path_factory.mktemp("packaged") / "made"
    return aotinductor.convert(Engine(name="aotinductor"), parent, folder, materials)


@pytest.fixture(scope="module")
def quantized(
    parent: Artifact, materials: Materials, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Artifact, dict[str, Any]]:
    """The parent with static int8 but for its head, really compiled."""
    options = Quantize(engine="inductor", calibration_examples=16, keep=("head",))
    return inductor.quantize(options, parent, tmp_path_factory.mktemp("int8") / "made", materials)


@pytest.fixture
def quick_compile(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Let torch.compile trace and guard as ever, but hand the graph back unchanged; return what it was asked."""
    asked: list[dict[str, Any]] = []
    real = torch.compile

    def compile_quickly(module: torch.nn.Module, **settings: Any) -> Any:
        asked.append(settings)
        return real(module, fullgraph=settings["fullgraph"], backend="eager")

    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", compile_quickly)
    return asked


def _with(record: Any, **changes: Any) -> Any:
    return dataclasses.replace(record, **changes)


def texts(batch: int, length: int) -> dict[str, Any]:
    """Return random ids of one shape, the last token of the first text masked where there are two."""
    ids = np.random.default_rng(batch * 100 + length).integers(1, 40, (batch, length))
    mask = np.ones_like(ids)
    mask[0, 1:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def largest_difference(made: Artifact, source: Artifact, batches: tuple[int, ...], lengths: tuple[int, ...]) -> float:
    """Return by how much a logit differs at most, over all these shapes."""
    asked = [texts(batch, length) for batch in batches for length in lengths]
    return max(float(np.abs(made.open()(arrays) - source.open()(arrays)).max()) for arrays in asked)


# --- ahead of time -----------------------------------------------------------------------------------------------


@needs_compiler
def test_one_package_serves_every_batch_and_length(packaged: tuple[Artifact, dict[str, Any]], parent: Artifact) -> None:
    """Also 1, which torch likes to take for a constant, and the longest that there are positions for."""
    made, proof = packaged

    assert largest_difference(made, parent, (1, 2, 33), (1, 2, 3, 17, 63, POSITIONS)) < 1e-5
    assert proof["parity"]["faulty"] == []
    assert (made.spec.engine, made.spec.precision, made.spec.builder) == ("aotinductor", "fp32", None)


@needs_compiler
def test_a_package_is_loaded_once_however_many_replicas_are_asked_for(
    packaged: tuple[Artifact, dict[str, Any]], parent: Artifact, tmp_path: Path
) -> None:
    """They would wait for each other; answers have the order and values of the source."""
    made = packaged[0].copy_to(tmp_path / "served", runtime=Runtime(replica_count=2, thread_count=1))
    sessions = made._open_all()
    inputs = make_inputs(10)

    assert len(sessions) == 1
    np.testing.assert_allclose(
        made.predict(inputs, batch_example_count=3), parent.predict(inputs, batch_example_count=3), atol=1e-6
    )


@needs_compiler
def test_a_call_leaves_the_artifacts_own_number_of_threads(packaged: tuple[Artifact, dict[str, Any]]) -> None:
    """The runtime block counts, also after another artifact has asked for more."""
    session = packaged[0].open()
    torch.set_num_threads(3)

    session(texts(2, 3))

    assert torch.get_num_threads() == 1


@needs_compiler
def test_the_package_holds_its_weights_once(packaged: tuple[Artifact, dict[str, Any]], parent: Artifact) -> None:
    """Each parameter is one constant; packed weights stand instead of the plain ones, not beside them."""
    source = aot_engine.read_source(packaged[0].folder / aot_engine.PACKAGE_FILE)
    names = re.findall(r"constants_info_\[\d+\]\.name = \"(\w+)\";", source)
    parameters = dict(load_module(parent.folder, parent.spec).named_parameters())

    assert 0 < len(names) <= len(parameters)
    assert len(set(names)) == len(names)


@needs_compiler
def test_a_package_of_other_torch_or_processor_is_refused(
    packaged: tuple[Artifact, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Machine code for another machine would end the process without a word."""
    folder, spec = packaged[0].folder, packaged[0].spec
    options = spec.options | {"isa_flags": [*spec.options["isa_flags"], "avx9"]}
    with pytest.raises(SetupError, match="a processor with avx9, which this one has not"):
        aot_engine.open_session(folder, _with(spec, options=options))

    monkeypatch.setattr(torch, "__version__", "9.9.9")
    with pytest.raises(SetupError, match=r"and torch 9\.9\.9 is installed"):
        aot_engine.open_session(folder, spec)


class _Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["data/constants/custom_obj_0", "data/weights/weight_0", "models/model.json"])
def test_a_package_with_anything_to_unpickle_is_refused(tmp_path: Path, name: str) -> None:
    """The loader of torch would unpickle it; here it is not even handed over."""
    sprung = tmp_path / "sprung"
    with zipfile.ZipFile(tmp_path / "model.pt2", "w") as archive:
        archive.writestr("model/data/aotinductor/model/c.wrapper.so", b"")
        archive.writestr(f"model/{name}", pickle.dumps(_Trap(sprung)))

    with pytest.raises(DataError, match="is no compiled code and is not loaded"):
        aot_engine.check_package(tmp_path / "model.pt2")
    assert not sprung.exists()


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    """A broken package is a data error in words."""
    (tmp_path / "model.pt2").write_bytes(b"nothing")

    with pytest.raises(DataError, match="is no package of compiled code"):
        aot_engine.check_package(tmp_path / "model.pt2")


# --- what a call may be given ------------------------------------------------------------------------------------


@pytest.fixture
def described() -> dict[str, Any]:
    """Return inputs of a text model with 8 positions."""
    return aot_engine.describe_inputs(make_inputs(2), dtype=torch.float32, longest_tokens_count=8)


def test_inputs_take_the_types_that_were_compiled_for(described: dict[str, Any]) -> None:
    """Compiled code would read ids of 32 bits two at a time."""
    arrays = {name: array.astype(np.int32) for name, array in texts(2, 8).items()}
    ids, mask = aot_engine.fit(arrays, described)

    assert (ids.dtype, mask.dtype) == (torch.int64, torch.int64)
    assert ids.tolist() == arrays["input_ids"].tolist()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a: texts(2, 9), "9 tokens wide where the model was compiled for 8 at most"),
        (lambda a: {name: array[:0] for name, array in a.items()}, r"shape \(0, 4\)"),
        (lambda a: a | {"attention_mask": a["attention_mask"][:, :3]}, r"`attention_mask` has shape \(2, 3\)"),
        (lambda a: a | {"input_ids": a["input_ids"][0]}, r"`input_ids` has shape \(4,\)"),
        (lambda a: a | {"input_ids": a["input_ids"] / 2}, "is float64 where the model was compiled for int64"),
        (lambda a: {"input_ids": a["input_ids"]}, "was compiled for inputs"),
    ],
)
def test_what_was_not_compiled_for_is_refused_in_words(
    described: dict[str, Any], change: Callable[[Any], Any], sentence: str
) -> None:
    """Compiled code checks nothing, so a wrong answer or a crash would come instead."""
    with pytest.raises(DataError, match=sentence):
        aot_engine.fit(change(texts(2, 4)), described)


def test_images_keep_their_size_and_only_the_batch_is_free() -> None:
    """Axes after the first are constants of the code, and floats take the model's precision."""
    images = np.zeros((2, 1, 8, 8), np.float32)
    options = aot_engine.describe_inputs(Encoded({"images": images}), dtype=torch.bfloat16, longest_tokens_count=None)

    assert aot_engine.fit({"images": images.astype(np.float64)}, options)[0].dtype == torch.bfloat16
    with pytest.raises(DataError, match=r"shape \(2, 1, 8, 9\)"):
        aot_engine.fit({"images": np.zeros((2, 1, 8, 9), np.float32)}, options)


# --- compiled when opened ----------------------------------------------------------------------------------------


def test_opening_compiles_all_that_calls_will_need(
    quick_compile: list[dict[str, Any]], parent: Artifact, materials: Materials, tmp_path: Path
) -> None:
    """After opening, no batch and no length makes torch compile again; answers are the source's."""
    made, proof = torch_compile.convert(Engine(name="torch-compile"), parent, tmp_path / "made", materials)

    with torch.compiler.set_stance("fail_on_recompile"):
        assert largest_difference(made, parent, (1, 2, 33), (1, 2, 3, 17, 63, POSITIONS)) < 1e-5
        torch.set_num_threads(2)  # torch guards this number too
        made.open()(texts(4, 4))
    assert quick_compile[0]["options"]["freezing"] is True
    assert proof["parity"]["faulty"] == []
    assert [file.path for file in made.spec.files] == ["model.safetensors"]


def test_a_model_that_needs_a_plan_for_each_length_is_refused(
    quick_compile: list[dict[str, Any]], parent: Artifact, materials: Materials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compilation within a timed call would be measured as a slow model."""

    class PerLength(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return (input_ids * attention_mask)[:, : 1 if input_ids.shape[1] < 6 else 2].float()

    monkeypatch.setattr(compile_engine, "load_module", lambda *_, **__: PerLength())
    spec = torch_compile.check_parent(Engine(name="torch-compile"), parent.spec, materials)

    with pytest.raises(SetupError, match="cannot compile this model once for all lengths"):
        compile_engine.open_session(parent.folder, spec)
    assert len(quick_compile) == 1


def test_a_gpu_records_graphs(monkeypatch: pytest.MonkeyPatch, parent: Artifact, materials: Materials) -> None:
    """On CUDA the launches are recorded, and no C++ compiler is asked for."""
    monkeypatch.setattr(aot_engine, "find_compiler", lambda: None)
    on_cuda = _with(parent.spec, runtime=Runtime(device="cuda"))
    spec = torch_compile.check_parent(Engine(name="torch-compile"), on_cuda, materials)

    assert spec.options["mode"] == "reduce-overhead"
    assert compile_engine.compile_settings(spec.options, device="cuda")["triton.cudagraphs"] is True


def test_the_compilers_cache_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lies with perflib's, and the environment is left as it was."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "before")
    with aot_engine.inductor_cache():
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(project.cache_dir() / "inductor")
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "before"


def test_a_large_batch_of_images_has_been_compiled_too(quick_compile: list[dict[str, Any]], tmp_path: Path) -> None:
    """Convolutions are compiled for up to 15 examples and for more; both are ready after opening."""
    config = {"channels_counts": [16, 32], "class_count": 10}
    torch_engine.save_module(small_convnet(config), tmp_path / "parent")
    parent = Artifact.seal(
        tmp_path / "parent",
        engine="torch",
        precision="fp32",
        builder=torch_engine.builder_name(small_convnet),
        config=config,
        labels=tuple("0123456789"),
        lineage=Lineage("toy", None, (), {}),
    )
    images = np.random.default_rng(0).random((40, 1, 8, 8), np.float32)
    made, _ = torch_compile.convert(
        Engine(name="torch-compile"), parent, tmp_path / "made", Materials(Encoded({"images": images}))
    )

    with torch.compiler.set_stance("fail_on_recompile"):
        for count in (1, 2, 15, 16, 17, 40):
            arrays = {"images": images[:count]}
            np.testing.assert_allclose(made.open()(arrays), parent.open()(arrays), atol=1e-5)
    assert len(quick_compile) == 1


# --- refused before any work -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["aotinductor", "torch-compile"])
def test_without_a_compiler_the_routes_are_refused(
    monkeypatch: pytest.MonkeyPatch, parent: Artifact, materials: Materials, name: str
) -> None:
    """The sentence says what to install or to choose."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)

    assert not aot_engine.has_compiler()
    with pytest.raises(SetupError, match=r"needs a C\+\+ compiler .* install one, or choose engine: openvino\.$"):
        Engine(name=name).check(parent.spec, materials)  # type: ignore[arg-type]
    with pytest.raises(SetupError, match=r"needs a C\+\+ compiler"):
        inductor.check_parent(Quantize(engine="inductor"), parent.spec, materials)


@pytest.mark.parametrize(
    ("options", "changes", "sentence"),
    [
        ({"shapes": "bucketed"}, {}, "compiles one plan for every shape, so shapes: bucketed is not for it"),
        ({"shapes": "fixed"}, {}, "shapes: fixed is not for it"),
        ({"arithmetic": "bf16"}, {}, "put precision: {dtype: bf16} before it"),
        ({}, {"engine": "openvino"}, "what comes to it is openvino fp32"),
        ({}, {"precision": "int8"}, "what comes to it is torch int8"),
    ],
)
def test_what_inductor_cannot_do_is_refused(
    parent: Artifact, materials: Materials, options: Any, changes: Any, sentence: str
) -> None:
    """Shapes, arithmetic and parents, each in one sentence, for both engines."""
    for name in ("aotinductor", "torch-compile"):
        with pytest.raises(StageError, match=sentence):
            Engine(name=name, **options).check(_with(parent.spec, **changes), materials)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"scheme": "int8-qat"}, "int8-qat, which is for engine: openvino"),
        ({"calibrator": "percentile"}, "calibrator: percentile"),
        ({"calibrator": "mse"}, "calibrator: mse"),
        ({"smooth": 0.5}, "smooth: 0.5"),
        ({"per_channel": False}, "per_channel: false"),
    ],
)
def test_options_that_torchao_has_not_are_refused(
    parent: Artifact, materials: Materials, options: Any, sentence: str
) -> None:
    """Nothing is promised that is not done."""
    with pytest.raises(StageError, match=sentence):
        inductor.check_parent(Quantize(engine="inductor", **options), parent.spec, materials)


@pytest.mark.parametrize(
    ("scheme", "is_refused"), [("int8-static", True), ("int8-dynamic", True), ("int8-weights", False)]
)
def test_a_processor_without_int8_products_is_refused(
    monkeypatch: pytest.MonkeyPatch, parent: Artifact, materials: Materials, scheme: Any, is_refused: bool
) -> None:
    """Without VNNI sums of products overflow; stored weights need no products."""
    monkeypatch.setattr(aot_engine, "find_compiler", lambda: "g++")
    card = _with(machine.read_card(), isa_flags=("avx2", "avx512f"))
    monkeypatch.setattr(machine, "read_card", lambda: card)
    check = functools.partial(inductor.check_parent, Quantize(engine="inductor", scheme=scheme), parent.spec, materials)

    if is_refused:
        with pytest.raises(SetupError, match="needs int8 products that do not overflow"):
            check()
    else:
        assert (check().engine, check().precision) == ("aotinductor", "int8")


# --- int8 --------------------------------------------------------------------------------------------------------


@needs_compiler
def test_static_int8_calls_int8_products_for_all_but_what_is_kept(
    quantized: tuple[Artifact, dict[str, Any]], materials: Materials
) -> None:
    """The compiled code says so, and the lineage names the texts that set the ranges."""
    made, proof = quantized

    assert proof["int8_product_layer_count"] == LINEARS_COUNT - 1
    assert (proof["linear_layer_count"], proof["kept_layer_count"]) == (LINEARS_COUNT, 1)
    assert proof["low_precision_share_ratio"] == 1.0
    assert made.spec.lineage.details["calibration_inputs_sha256"] == materials.sample(16, stage="quantize").digest()
    assert made.spec.lineage.details["calibration_example_count"] == 16


@needs_compiler
def test_static_int8_answers_like_its_source_at_every_shape(
    quantized: tuple[Artifact, dict[str, Any]], parent: Artifact
) -> None:
    """Rounding is all that differs: far less than one answer from another."""
    inputs = make_inputs(24)
    spread = float(parent.open()(inputs.arrays).std(axis=0).mean())

    assert largest_difference(quantized[0], parent, (1, 2, 33), (2, 8, 17, POSITIONS)) < spread


@needs_compiler
def test_a_fallback_to_fp32_is_a_failed_stage(
    quantized: tuple[Artifact, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nine in ten is the border: of ten layers one may fall back, not two."""
    made = quantized[0]
    details = made.spec.lineage.details | {"linear_layer_count": 10, "wanted_layer_count": 10}
    spec = _with(made.spec, lineage=_with(made.spec.lineage, details=details))
    call = "aoti_torch_cpu__qlinear_pointwise_tensor(a); "

    monkeypatch.setattr(aot_engine, "read_source", lambda _: call * 9)
    assert inductor.prove(Artifact(made.folder, spec))["low_precision_share_ratio"] == 0.9
    monkeypatch.setattr(aot_engine, "read_source", lambda _: call * 8)
    with pytest.raises(StageError, match="only 8 of 10 linear layers"):
        inductor.prove(Artifact(made.folder, spec))


def test_generated_code_is_read_for_products_and_constants() -> None:
    """Only calls count, not declarations; only int8 matrices, not scales or padding."""
    source = (
        "aoti_torch_cpu__qlinear_pointwise_tensor(a); aoti_torch_cpu__qlinear_pointwise_binary_tensor(b);\n"
        "aoti_torch_cpu__int_mm_out(c); aoti_torch_cpu__linear_pointwise(d); aoti_torch_cpu_mm_out(e);\n"
        "constants_info_[0].dtype = cached_torch_dtype_int8;\nconstants_info_[0].shape = {16, 32};\n"
        "constants_info_[1].dtype = cached_torch_dtype_int8;\nconstants_info_[1].shape = {16};\n"
        "constants_info_[2].dtype = cached_torch_dtype_float32;\nconstants_info_[2].shape = {16, 32};\n"
    )

    assert aot_engine.int8_product_count(source) == 3
    assert aot_engine.int8_matrix_count(source) == 1


def test_dynamic_scales_do_not_depend_on_the_batch(parent: Artifact) -> None:
    """A text's answer is the same alone and beside others: torchao's scales are per token."""
    module = load_module(parent.folder, parent.spec)
    chosen, layer_count = inductor.choose_layers(module, (), is_static=False)
    inductor.quantize_weights(module, chosen, is_dynamic=True)
    arrays = {name: torch.from_numpy(array) for name, array in texts(8, 6).items()}
    with torch.no_grad():
        together = module(**arrays)
        alone = torch.cat(
            [module(**{name: array[row : row + 1] for name, array in arrays.items()}) for row in range(8)]
        )

    assert layer_count == len(chosen) == LINEARS_COUNT
    torch.testing.assert_close(alone, together, atol=1e-6, rtol=0)


def test_layers_of_kept_blocks_are_left_out(parent: Artifact) -> None:
    """A block stands for all linear layers in it; one without any takes none."""
    module = load_module(parent.folder, parent.spec)
    chosen, layer_count = inductor.choose_layers(module, ("encoder.layer.0.output", "embeddings"), is_static=True)

    assert layer_count == LINEARS_COUNT
    assert "encoder.layer.0.output.dense" not in chosen
    assert len(chosen) == LINEARS_COUNT - 1


@pytest.mark.parametrize(
    ("kept", "sentence"),
    [(("encoder", "head"), "all 7 linear layers are kept"), (("no.such",), "block `no.such` holds no linear")],
)
def test_blocks_that_leave_nothing_or_are_unknown_are_refused(
    parent: Artifact, kept: tuple[str, ...], sentence: str
) -> None:
    """Nothing quantized is no int8 model, and a misspelt block would be quantized."""
    with pytest.raises(StageError, match=sentence):
        inductor.choose_layers(load_module(parent.folder, parent.spec), kept, is_static=True)


def test_convolutions_are_for_static_ranges_only() -> None:
    """The other schemes of torchao would leave them in fp32 without a word."""
    module = small_convnet({"channels_counts": [4, 4], "class_count": 2})

    assert len(inductor.choose_layers(module, (), is_static=True)[0]) == 3
    with pytest.raises(StageError, match="2 of 3 layers are convolutions"):
        inductor.choose_layers(module, (), is_static=False)


def test_a_model_that_cannot_be_exported_is_a_stage_error(described: dict[str, Any]) -> None:
    """An answer that decides what is computed next cannot be compiled ahead."""

    class Branching(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return input_ids.float() if input_ids.sum() > 3 else attention_mask.float()

    with pytest.raises(StageError, match="cannot export this model with a free batch and length"):
        aot_engine.export(Branching(), described)


def test_a_failed_compilation_is_a_stage_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the compiler says is cut to its first line."""

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("\nno such operator\nmore")

    monkeypatch.setattr(aot_engine, "find_compiler", lambda: "g++")
    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", fail)
    with pytest.raises(
        StageError, match=r"cannot compile this model \(no such operator\); use another engine\."
    ) as told:
        aot_engine.compile_package(None, tmp_path)  # type: ignore[arg-type]
    assert isinstance(told.value, PerflibError)
