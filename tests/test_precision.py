"""Lower precision: all products are made in it, which the executed layers prove."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from perflib import machine
from perflib.artifact import ArtifactSpec
from perflib.compression.materials import Materials
from perflib.compression.precision import Precision, prove_precision
from perflib.engines.torch_engine import load_module
from perflib.errors import SetupError, StageError
from tests.tiny_artifact import LINEARS_COUNT, make_inputs, write_artifact

MATERIALS = Materials(make_inputs(8))


def with_flags(monkeypatch: pytest.MonkeyPatch, *flags: str) -> None:
    """Let this processor have the instruction sets named."""
    card = dataclasses.replace(machine.read_card(), isa_flags=flags)
    monkeypatch.setattr(machine, "read_card", lambda: card)


@pytest.mark.parametrize(("dtype", "tolerance"), [("bf16", 0.01), ("fp16", 0.002)])
def test_a_cast_model_computes_in_the_precision_and_keeps_its_answers(
    tmp_path: Path, dtype: Any, tolerance: float
) -> None:
    """Half the bytes, all linear layers in the type, answers close to the parent's, and a lineage that says so."""
    parent, stage = write_artifact(tmp_path / "parent"), Precision(dtype, even_if_emulated=True)
    made, proof = stage.apply(parent, tmp_path / "made", MATERIALS)

    assert (made.spec.engine, made.spec.precision) == ("torch", dtype)
    assert made.spec.lineage.parent_sha256 == parent.digest
    assert made.spec.lineage.recipe == ({"precision": {"dtype": dtype, "even_if_emulated": True}},)
    assert proof == {"linear_layer_count": LINEARS_COUNT, "low_precision_share_ratio": 1.0}
    assert made.size_bytes < 0.6 * parent.size_bytes
    np.testing.assert_allclose(made.predict(make_inputs()), parent.predict(make_inputs()), atol=tolerance)


@pytest.mark.parametrize(
    ("dtype", "flags", "is_taken"),
    [
        ("bf16", ("avx2", "avx512_bf16"), True),
        ("bf16", ("avx2", "avx512_vnni"), False),
        ("fp16", ("avx2", "avx512_bf16"), False),
        ("fp16", ("avx512_fp16",), True),
        ("fp16", (), False),
    ],
)
def test_a_type_without_products_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: Any, flags: tuple[str, ...], is_taken: bool
) -> None:
    """The sentence names what the processor has and how to measure it all the same."""
    with_flags(monkeypatch, *flags)
    parent = write_artifact(tmp_path).spec
    if is_taken:
        assert Precision(dtype).check(parent, MATERIALS).precision == dtype
        return
    with pytest.raises(SetupError, match=f"{dtype} has no products on this processor .*even_if_emulated: true"):
        Precision(dtype).check(parent, MATERIALS)
    assert Precision(dtype, even_if_emulated=True).check(parent, MATERIALS).precision == dtype


def test_another_parent_is_refused(tmp_path: Path) -> None:
    """A second cast is a mistake in the recipe."""
    parent = dataclasses.replace(write_artifact(tmp_path).spec, precision="bf16")
    with pytest.raises(StageError, match="takes a torch fp32 artifact, but what comes to it is torch bf16"):
        Precision(even_if_emulated=True).check(parent, MATERIALS)


def test_one_layer_that_falls_back_is_a_failed_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer whose inputs are widened again computes in fp32, whatever the type of its file."""
    made, _ = Precision(even_if_emulated=True).apply(write_artifact(tmp_path / "parent"), tmp_path / "made", MATERIALS)

    def half_cast(folder: Path, spec: ArtifactSpec) -> nn.Module:
        module: Any = load_module(folder, spec)
        module.head = module.head.float()
        inner = module.head.forward
        module.head.forward = lambda x: inner(x.float())
        return module

    monkeypatch.setattr("perflib.engines.torch_engine.load_module", half_cast)
    with pytest.raises(StageError, match=f"{LINEARS_COUNT - 1} of {LINEARS_COUNT} linear layers compute in bf16"):
        prove_precision(made, MATERIALS)
