"""Encoded: padding is trimmed, samples keep the lengths of the data, files hold arrays and nothing else."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from perflib.encoded import Encoded
from perflib.errors import DataError
from tests.tiny_artifact import make_inputs


def test_a_batch_is_cut_to_its_longest_row() -> None:
    """Padding that nobody in the batch needs is gone, from every two-dimensional array."""
    inputs = make_inputs(10)

    assert inputs.take([0, 2]).arrays["input_ids"].shape == (2, 3)
    assert inputs.take([0, 2]).arrays["attention_mask"].shape == (2, 3)
    assert [batch.arrays["input_ids"].shape for batch in inputs.batches(4)] == [(4, 4), (4, 8), (2, 2)]


def test_batches_keep_order_and_content() -> None:
    """Served together or apart, every example is there once and as it was."""
    inputs = make_inputs(10)
    rows = [row for batch in inputs.batches(3) for row in batch.arrays["input_ids"].tolist()]
    whole = inputs.arrays["input_ids"].tolist()

    assert [[token for token in row if token] for row in rows] == [[token for token in row if token] for row in whole]


def test_padded_batches_keep_the_width_of_the_whole() -> None:
    """Only rows are cut, in every array, and nothing in them changes."""
    inputs = make_inputs(10)
    batches = inputs.batches(4, is_padded=True)

    assert [batch.arrays["attention_mask"].shape for batch in batches] == [(4, 8), (4, 8), (2, 8)]
    for name, array in inputs.arrays.items():
        np.testing.assert_array_equal(np.concatenate([batch.arrays[name] for batch in batches]), array)


def test_arrays_without_a_mask_are_left_alone() -> None:
    """Images have no padding to trim; each counts as one."""
    images = Encoded({"image": np.zeros((5, 8, 8), np.float32)})

    assert images.take([1, 3]).arrays["image"].shape == (2, 8, 8)
    assert images.lengths().tolist() == [1] * 5


@pytest.mark.parametrize("arrays", [{}, {"a": np.zeros(2), "b": np.zeros(3)}])
def test_arrays_of_different_counts_are_refused(arrays: dict[str, np.ndarray]) -> None:
    """Inputs belong to the same examples or are no inputs."""
    with pytest.raises(DataError, match="same number of examples"):
        Encoded(arrays)


def test_a_stratified_sample_keeps_the_quantiles_of_length() -> None:
    """Whatever the order of the data, a small sample is as long as the whole, and always the same."""
    lengths = np.random.default_rng(1).permutation(np.arange(1000) % 100 + 1)
    mask = (np.arange(100) < lengths[:, None]).astype(np.int64)
    sample = Encoded({"input_ids": mask, "attention_mask": mask}).stratified(50)
    again = Encoded({"input_ids": mask, "attention_mask": mask}).stratified(50)

    quantiles = [0.1, 0.5, 0.9]
    np.testing.assert_allclose(np.quantile(sample.lengths(), quantiles), np.quantile(lengths, quantiles), atol=2)
    assert sample.digest() == again.digest()


def test_a_sample_as_large_as_the_data_is_the_data() -> None:
    """Asking for more than there is returns all, in order."""
    inputs = make_inputs(5)

    assert inputs.stratified(5) is inputs
    assert inputs.stratified(99) is inputs


def test_the_digest_covers_names_types_shapes_and_values() -> None:
    """Any difference that a model could see changes the digest."""
    base = np.arange(6, dtype=np.int64)
    variants = [
        {"a": base},
        {"b": base},
        {"a": base.astype(np.int32)},
        {"a": base.reshape(6, 1)},
        {"a": base + 1},
    ]

    assert len({Encoded(arrays).digest() for arrays in variants}) == len(variants)


def test_arrays_survive_the_round_trip(tmp_path: Path) -> None:
    """What is read has the digest of what was written."""
    inputs = make_inputs(7)

    assert Encoded.read(inputs.write(tmp_path / "inputs.npz")).digest() == inputs.digest()


class Evil:
    """Says so if it is ever unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Run code on loading."""
        return pytest.fail, ("a pickle was loaded",)


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    """Neither an array of objects in the file nor a pickle in its place is ever loaded."""
    objects = np.empty(1, object)
    objects[0] = Evil()
    np.savez(tmp_path / "objects.npz", a=objects)
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Evil()))

    for name in ("objects.npz", "pickle.npz"):
        with pytest.raises(DataError, match="no plain arrays"):
            Encoded.read(tmp_path / name)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 torn", b"\x93NUMPY"])
def test_a_file_that_is_no_npz_is_a_data_error(tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty and torn files are named in one sentence."""
    path = tmp_path / "inputs.npz"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(DataError, match=r"inputs\.npz"):
        Encoded.read(path)
