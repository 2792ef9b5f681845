"""
Any sequence classifier that transformers knows, rebuilt from plain configuration.

It stands apart from the table workload, so that a timing worker that opens such an artifact imports no data code.
"""

from typing import Any

import torch
from torch import nn

from perflib.engines.torch_engine import model_builder


class SequenceClassifier(nn.Module):
    """A transformers classifier that takes ids and mask and gives logits alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Token ids and mask, both (b, t) -> logits (b, classes)."""
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits  # type: ignore[no-any-return]


@model_builder
def sequence_classifier(config: dict[str, Any]) -> nn.Module:
    """Build the architecture that a checkpoint's configuration, as plain data, describes."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    settings = dict(config)
    made = AutoConfig.for_model(settings.pop("model_type"), **settings)
    return SequenceClassifier(AutoModelForSequenceClassification.from_config(made))
