"""Artifacts: loaded only if every file is the recorded one, and served as their runtime block says."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perflib.artifact import SPEC_FILE, Artifact, Lineage, Runtime, softmax
from perflib.errors import DataError
from tests.tiny_artifact import make_inputs, write_artifact


def _rewrite_files(folder: Path, **change: Any) -> None:
    """Change the first weight file in the record, as a forger would."""
    spec = json.loads((folder / SPEC_FILE).read_text())
    spec["files"][0].update(change)
    (folder / SPEC_FILE).write_text(json.dumps(spec))


def test_an_artifact_survives_the_round_trip(tmp_path: Path) -> None:
    """Loaded again it has the same record, digest, size and answers."""
    sealed = write_artifact(tmp_path)
    loaded = Artifact.load(tmp_path)

    assert loaded.spec == sealed.spec
    assert loaded.digest == sealed.digest
    assert loaded.size_bytes == (tmp_path / "model.safetensors").stat().st_size
    np.testing.assert_array_equal(loaded.predict(make_inputs()), sealed.predict(make_inputs()))


def test_the_digest_covers_the_runtime_block(tmp_path: Path) -> None:
    """The same weights served otherwise are another artifact."""
    one = write_artifact(tmp_path / "one")
    two = write_artifact(tmp_path / "two", runtime=Runtime(batch_example_count=8, thread_count=1))

    assert one.spec.files == two.spec.files
    assert one.digest != two.digest


def test_probabilities_have_a_row_per_example_and_sum_to_one(tmp_path: Path) -> None:
    """The answer is float32, in the order of the inputs, one column per class."""
    answers = write_artifact(tmp_path).predict(make_inputs(10))

    assert answers.shape == (10, 3)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers.sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "counts", "shapes"),
    [
        ({}, [4, 4, 2], [(4, 4), (4, 8), (2, 2)]),
        ({"batch_example_count": 7}, [7, 3], [(7, 7), (3, 8)]),
        ({"is_padded": True}, [4, 4, 2], [(4, 8), (4, 8), (2, 8)]),
        ({"batch_example_count": 1, "is_padded": True}, [1] * 10, [(1, 8)] * 10),
    ],
)
def test_batches_are_those_of_the_runtime_block_or_those_asked_for(
    tmp_path: Path, settings: dict[str, Any], counts: list[int], shapes: list[tuple[int, int]]
) -> None:
    """Ten examples in batches of four are four, four and two, and the model sees exactly the batches of the call."""
    artifact, told, seen = write_artifact(tmp_path), [], []
    session = artifact.open()

    def watched(arrays: Any) -> Any:
        seen.append(arrays["input_ids"].shape)
        return session(arrays)

    artifact._sessions = [watched]
    artifact.predict(make_inputs(10), on_batch=told.append, **settings)

    assert told == counts
    assert seen == shapes


def test_an_altered_weight_is_refused(tmp_path: Path) -> None:
    """One changed byte is enough."""
    write_artifact(tmp_path)
    path = tmp_path / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    with pytest.raises(DataError, match="sha256"):
        Artifact.load(tmp_path)


def test_a_missing_weight_is_refused(tmp_path: Path) -> None:
    """A half-copied folder does not load."""
    write_artifact(tmp_path)
    (tmp_path / "model.safetensors").unlink()

    with pytest.raises(DataError, match="cannot be read"):
        Artifact.load(tmp_path)


def test_a_weight_that_the_record_leaves_out_is_refused(tmp_path: Path) -> None:
    """An engine opens a fixed name, so a record that omits the file would let it go unchecked."""
    write_artifact(tmp_path)
    spec = json.loads((tmp_path / SPEC_FILE).read_text())
    (tmp_path / SPEC_FILE).write_text(json.dumps({**spec, "files": []}))

    with pytest.raises(DataError, match=r"model\.safetensors is not in artifact\.json"):
        Artifact.load(tmp_path)


def test_a_folder_without_a_record_is_no_artifact(tmp_path: Path) -> None:
    """Weights alone do not say what they are."""
    write_artifact(tmp_path)
    (tmp_path / SPEC_FILE).unlink()

    with pytest.raises(DataError, match=r"artifact\.json"):
        Artifact.load(tmp_path)


@pytest.mark.parametrize("name", ["model.pt", "model.pkl", "pytorch_model.bin.pt"])
def test_a_pickled_weight_is_refused(tmp_path: Path, name: str) -> None:
    """Neither sealing nor loading touches a file that could hold code."""
    write_artifact(tmp_path / "sealed")
    (tmp_path / "sealed" / "model.safetensors").rename(tmp_path / "sealed" / name)
    _rewrite_files(tmp_path / "sealed", path=name)
    with pytest.raises(DataError, match="safetensors"):
        Artifact.load(tmp_path / "sealed")

    (tmp_path / "new").mkdir()
    (tmp_path / "new" / name).write_bytes(b"x")
    with pytest.raises(DataError, match="pickled weights can run code"):
        Artifact.seal(
            tmp_path / "new", engine="torch", precision="fp32", labels=(), lineage=Lineage("toy", None, (), {})
        )


def test_an_empty_folder_cannot_be_sealed(tmp_path: Path) -> None:
    """The record is written last, over weights that are there."""
    with pytest.raises(DataError, match="no weight file"):
        Artifact.seal(tmp_path, engine="torch", precision="fp32", labels=(), lineage=Lineage("toy", None, (), {}))


@pytest.mark.parametrize("name", ["../outside.safetensors", "sub/../../outside.safetensors"])
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    """An artifact cannot make perflib read a file elsewhere, though its digest is right."""
    folder = tmp_path / "artifact"
    write_artifact(folder)
    (folder / "sub").mkdir()
    shutil.move(folder / "model.safetensors", tmp_path / "outside.safetensors")
    for path in (name, str(tmp_path / "outside.safetensors")):
        _rewrite_files(folder, path=path)
        with pytest.raises(DataError, match="not a plain file inside it"):
            Artifact.load(folder)


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    """What a link points to can change after the check."""
    folder = tmp_path / "artifact"
    write_artifact(folder)
    shutil.move(folder / "model.safetensors", tmp_path / "elsewhere.safetensors")
    (folder / "model.safetensors").symlink_to(tmp_path / "elsewhere.safetensors")

    with pytest.raises(DataError, match="not a plain file inside it"):
        Artifact.load(folder)


def test_softmax_is_stable_and_lets_nan_through() -> None:
    """Large logits do not overflow, and a broken answer stays visible."""
    answers = softmax(np.array([[1e4, 0.0], [np.nan, 0.0]], np.float32))

    np.testing.assert_array_equal(answers[0], [1.0, 0.0])
    assert np.isnan(answers[1]).all()
