"""ranges: histograms against the raw values, rounding against torch's, and clips that are written where they pay."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from perflib.compression import ranges
from perflib.compression.quantizers import openvino_source
from perflib.compression.ranges import Histogram, Range, fake_quantize
from perflib.encoded import Encoded
from tests.test_quantize import images, write_convnet
from tests.tiny_artifact import make_inputs


def histogram(values: NDArray[np.float64]) -> Histogram:
    """Count values with numpy's own histogram."""
    counts, edges = np.histogram(values, bins=ranges.BINS_COUNT)
    return Histogram(float(edges[0]), float(edges[-1]), counts.astype(np.int64))


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A convolutional network with rounded activations, as NNCF makes it."""
    import nncf

    parent = write_convnet(tmp_path_factory.mktemp("parent"))
    source = openvino_source.convert(parent, images(24))
    with openvino_source.quiet():
        return nncf.quantize(source.model, nncf.Dataset([dict(images(24).arrays)]), subset_size=1)


def test_rounding_is_torchs() -> None:
    """The formula agrees with torch's fake quantization where zero is a level."""
    values = np.random.default_rng(0).uniform(-3, 5, 1000)  # none lies halfway between two levels
    scale = 4.0 / 255
    expected = torch.fake_quantize_per_tensor_affine(torch.tensor(values), scale, 64, 0, 255).numpy()

    np.testing.assert_allclose(fake_quantize(values, -64 * scale, 191 * scale, 256), expected, atol=1e-6)


def test_an_empty_range_has_one_value() -> None:
    """Nothing is divided by zero."""
    assert fake_quantize(np.array([-1.0, 2.0]), 0.5, 0.5, 256).tolist() == [0.5, 0.5]


def test_the_error_of_a_histogram_is_that_of_the_values() -> None:
    """Bins are fine enough to stand for the values, inside a range and outside it."""
    values = np.random.default_rng(0).normal(size=50_000)
    for low, high in ((-5.0, 5.0), (-1.0, 2.0)):
        expected = np.mean((fake_quantize(values, low, high, 256) - values) ** 2) / np.mean(values**2)
        assert histogram(values).error_ratio(low, high, 256) == pytest.approx(expected, rel=0.02)


def test_values_that_are_all_zero_have_no_error() -> None:
    """There is nothing to lose, and nothing is divided by."""
    assert Histogram(0.0, 0.0, np.array([7])).error_ratio(0.0, 1.0, 256) == 0.0


def test_outliers_are_cut_only_where_that_loses_less() -> None:
    """Even values keep their range; with 16 levels a long tail is cut, and no tried range is better than the chosen."""
    rng = np.random.default_rng(0)
    even, tailed = histogram(rng.uniform(-1, 1, 20_000)), histogram(rng.laplace(size=20_000))

    assert even.best_range(-1.0, 1.0, 256) == (-1.0, 1.0)
    low, high = tailed.best_range(-8.0, 8.0, 16)
    assert -8.0 < low == -high < -1.0
    tried = [tailed.error_ratio(-8.0 * clip, 8.0 * clip, 16) for clip in ranges.CLIPS_RATIO]
    assert tailed.error_ratio(low, high, 16) == min(tried) < tried[0]


def test_the_values_before_rounding_are_counted(quantized: Any) -> None:
    """Every pixel is counted once, between the least and the greatest, and the model is left as it was."""
    before = ranges.read_ranges(quantized)
    found = ranges.record_values(quantized, images(24))
    pixels = images(24).arrays["images"]

    assert set(found) == {one.name for one in before}
    of_input = next(values for name, values in found.items() if name.startswith("images"))
    assert of_input.counts.sum() == pixels.size
    assert (of_input.low, of_input.high) == (float(pixels.min()), float(pixels.max()))
    expected, _ = np.histogram(pixels, bins=64, range=(of_input.low, of_input.high))
    np.testing.assert_allclose(of_input.counts.reshape(64, -1).sum(axis=1), expected, atol=2)
    assert ranges.read_ranges(quantized) == before


def test_a_clip_is_written_into_the_model(quantized: Any) -> None:
    """What is read back is the best range, in and out of the operation, and its error is no larger."""
    model = quantized.clone()
    histograms = ranges.record_values(model, images(24))
    before = ranges.read_ranges(model, histograms)
    ranges.clip_ranges(model, histograms)
    after = ranges.read_ranges(model, histograms)

    for old, new in zip(before, after, strict=True):
        best = histograms[old.name].best_range(float(old.low), float(old.high), 256)  # type: ignore[arg-type]
        assert (new.low, new.high) == pytest.approx(best)
        assert new.error_ratio is not None
        assert old.error_ratio is not None
        assert new.error_ratio <= old.error_ratio * 1.001  # constants are stored in fp32
    for node in model.get_ordered_ops():
        if node.get_type_name() == "FakeQuantize":
            low, high, low_out, high_out = (
                float(node.input(at).get_source_output().get_node().data) for at in range(1, 5)
            )
            assert (low, high) == (low_out, high_out)


def test_padding_is_not_counted() -> None:
    """Texts that share a batch have one length, and every text is in one."""

    def batches() -> Iterator[Encoded]:
        yield from ranges._equally_long(make_inputs(20))

    assert all(len(set(batch.lengths().tolist())) == 1 for batch in batches())
    assert all(batch.arrays["input_ids"].shape[1] == batch.lengths()[0] for batch in batches())
    assert sum(len(batch) for batch in batches()) == 20


def test_the_mean_error_leaves_out_what_was_not_measured() -> None:
    """A range per channel has no histogram; without any there is no mean."""
    whole, channels = Range("a", 0.0, 1.0, 256, 0.5), Range("b", [0.0, 0.0], [1.0, 2.0], 256)

    assert ranges.mean_error_ratio([whole, channels]) == 0.5
    assert ranges.mean_error_ratio([channels]) is None
