"""A model's answers in a process of its own."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from perflib.benchmarking.probe import make_probe, probe_inputs
from perflib.errors import MeasurementError
from perflib.regression.answering import answers_under, main
from perflib.regression.components import mix, parameters_sha256, weights_sha256
from tests.fake_bench import write_model


def test_another_process_gives_the_same_answers(tmp_path: Path) -> None:
    """To the last bit: the same code, the same weights."""
    probe, inputs = make_probe(tmp_path / "probe", layer_count=3), probe_inputs()
    answers = answers_under(sys.executable, probe, inputs)

    np.testing.assert_array_equal(answers, probe.predict(inputs))
    assert answers.dtype == np.float32


def test_a_model_that_cannot_be_asked_says_why(tmp_path: Path) -> None:
    """The sentence holds the process's last words."""
    probe, inputs = make_probe(tmp_path / "probe", layer_count=3), probe_inputs()
    (probe.folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(MeasurementError, match=r"could not be asked \(code 1\).*sha256"):
        answers_under(sys.executable, probe, inputs)


def test_a_model_that_hangs_is_ended(tmp_path: Path) -> None:
    """Within the time that it is given."""
    probe = make_probe(tmp_path / "probe", layer_count=10**7)
    with pytest.raises(MeasurementError, match="gave no answers within 2 s"):
        answers_under(sys.executable, probe, probe_inputs(), timeout_sec=2.0)


def test_a_mistake_is_one_sentence_on_the_other_side_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback where an artifact is missing."""
    assert main([str(tmp_path / "none"), "inputs.npz", "answers.npy"]) == 1
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("swapped", "weights", "threads"),
    [
        ((), b"good", 1),
        (("artifact",), b"bad", 1),
        (("parameters",), b"good", 2),
        (("artifact", "parameters"), b"bad", 2),
    ],
)
def test_a_mixture_has_the_parts_that_were_asked_for(
    tmp_path: Path, swapped: tuple[str, ...], weights: bytes, threads: int
) -> None:
    """Weights of one, serving of the other; and it is a whole artifact again."""
    good = write_model(tmp_path / "good", weights=b"good")
    bad = write_model(tmp_path / "bad", weights=b"bad", thread_count=2)
    mixed = mix(good, bad, swapped=swapped, folder=tmp_path / "mixed")  # type: ignore[arg-type]

    assert (mixed.folder / "model.safetensors").read_bytes() == weights
    assert mixed.spec.runtime.thread_count == threads


def test_history_of_an_artifact_is_no_part_of_it(tmp_path: Path) -> None:
    """The same weights, made by another recipe, are the same component."""
    spec = write_model(tmp_path / "model").spec
    other = dataclasses.replace(spec, lineage=dataclasses.replace(spec.lineage, recipe=({"prune": {}},)))
    served = dataclasses.replace(spec, options={"shapes": "fixed"})

    assert weights_sha256(other) == weights_sha256(served) == weights_sha256(spec)
    assert parameters_sha256(other) == parameters_sha256(spec) != parameters_sha256(served)
