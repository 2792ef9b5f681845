"""
A small convolutional network with batch normalisation, in plain PyTorch.

Shapes: b images, c channels, h × w pixels.
"""

from typing import Any

import torch
from torch import nn

from perflib.engines.torch_engine import model_builder


class ConvNet(nn.Module):
    """Convolution, batch normalisation and ReLU per stage, halving the image; then the mean and a linear head."""

    def __init__(self, channels_counts: list[int], class_count: int) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        before = 1
        for channels in channels_counts:
            # The bias would be taken away again by the normalisation that follows.
            stages += [nn.Conv2d(before, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
            stages.append(nn.MaxPool2d(2))
            before = channels
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(before, class_count)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (b, 1, h, w) -> logits (b, classes)."""
        return self.head(self.stages(images).mean(dim=(2, 3)))  # type: ignore[no-any-return]


@model_builder
def small_convnet(config: dict[str, Any]) -> nn.Module:
    """Build the network from ``channels_counts`` and ``class_count``."""
    return ConvNet(config["channels_counts"], config["class_count"])
