"""Folding of batch normalisation: the same answers from fewer layers, and only where that is so."""

import copy

import pytest
import torch
from torch import nn

from perflib.compression.folding import fold_batch_norms
from perflib.workloads.convnet import small_convnet

DIGITS = {"channels_counts": [16, 32], "class_count": 10}


def with_statistics(module: nn.Module) -> nn.Module:
    """Give every normalisation statistics and weights that are far from those it starts with."""
    torch.manual_seed(1)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) and part.running_mean is not None:
            part.running_mean.normal_()
            part.running_var.uniform_(0.1, 4)
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    return module.eval()


def norms_count(module: nn.Module) -> int:
    """Count the normalisations left."""
    return sum("BatchNorm" in type(part).__name__ for part in module.modules())


def test_the_folded_network_of_digits_answers_the_same() -> None:
    """No normalisation is left, and no logit moves by more than rounding."""
    whole = with_statistics(small_convnet(DIGITS))
    folded = copy.deepcopy(whole)
    images = torch.rand(20, 1, 8, 8)

    assert fold_batch_norms(folded) == 2
    assert (norms_count(whole), norms_count(folded)) == (2, 0)
    with torch.inference_mode():
        torch.testing.assert_close(folded(images), whole(images), atol=1e-5, rtol=0)
        assert float((whole(images) - small_convnet(DIGITS).eval()(images)).abs().max()) > 0.1
    # The other layers keep their names, which blocks and ranges are known by.
    assert isinstance(folded.get_submodule("stages.4"), nn.Conv2d)


def test_the_scales_are_those_of_the_formula() -> None:
    """Each channel is multiplied by gamma / sqrt(variance + eps)."""
    whole = with_statistics(nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3)))
    conv, norm = whole[0], whole[1]
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    expected = (conv.weight.clone() * scale[:, None, None, None], (conv.bias - norm.running_mean) * scale + norm.bias)
    fold_batch_norms(whole)

    torch.testing.assert_close((whole[0].weight, whole[0].bias), expected)


@pytest.mark.parametrize(
    ("layers", "folded_count", "left_count"),
    [
        ([nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2)], 1, 0),
        ([nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), nn.ReLU()], 1, 0),
        ([nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2)], 0, 1),
        ([nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3)], 0, 1),
        ([nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False)], 0, 1),
        ([nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.BatchNorm2d(2)], 1, 1),
        ([nn.Conv2d(1, 2, 3)], 0, 0),
        ([], 0, 0),
    ],
)
def test_only_a_pair_is_folded(layers: list[nn.Module], folded_count: int, left_count: int) -> None:
    """A normalisation after something else, or without running statistics, stays where it is."""
    module = with_statistics(nn.Sequential(*layers))

    assert fold_batch_norms(module) == folded_count
    assert norms_count(module) == left_count
