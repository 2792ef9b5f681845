"""
A BERT encoder with mean pooling and a linear head, in plain PyTorch.

It is written out because a timing worker starts twice per life and importing transformers costs it six seconds;
a test holds it equal to ``transformers.BertModel``.
Parameter names are those of the Hugging Face checkpoints, so weights load as they are.
Shapes: b examples, t tokens, d hidden, h heads.

Three optional keys of the configuration describe a model that was made smaller: ``heads_per_layer`` and
``neurons_per_layer`` (lists, one number a layer) with ``head_size``, and ``full_vocab_size``, the number of token ids
that inputs may have where the embedding holds only ``vocab_size`` of them.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from perflib.engines.torch_engine import model_builder

# Added to the scores of padding. The least number of fp32 would be minus infinity in bf16, and 0 times that no number.
MASKED = -1e4


class Embeddings(nn.Module):
    """Sum of word, position and type embeddings, normalised."""

    row_of_token: torch.Tensor | None

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        hidden = config["hidden_size"]
        self.word_embeddings = nn.Embedding(config["vocab_size"], hidden, padding_idx=config["pad_token_id"])
        self.position_embeddings = nn.Embedding(config["max_position_embeddings"], hidden)
        self.token_type_embeddings = nn.Embedding(config["type_vocab_size"], hidden)
        self.LayerNorm = nn.LayerNorm(hidden, eps=config["layer_norm_eps"])
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])
        full_count = config.get("full_vocab_size")
        rows = None if full_count is None else torch.zeros(full_count, dtype=torch.int32)
        # Token id -> row of the embedding, so that a trimmed model takes the same inputs as the whole one.
        self.register_buffer("row_of_token", rows)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Token ids (b, t) -> vectors (b, t, d); all tokens are of type 0."""
        if self.row_of_token is not None:
            input_ids = self.row_of_token[input_ids]
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        total = self.word_embeddings(input_ids) + self.position_embeddings(positions)
        return self.dropout(self.LayerNorm(total + self.token_type_embeddings.weight[0]))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Self-attention and feed-forward, each added to its input and normalised after."""

    def __init__(self, config: dict[str, Any], number: int) -> None:
        super().__init__()
        hidden, eps = config["hidden_size"], config["layer_norm_eps"]
        self.heads_count, self.head_size, inner = _shape(config, number)
        mixed = self.heads_count * self.head_size
        self.attention_dropout = config["attention_probs_dropout_prob"]
        # The nested names are the checkpoint's: attention.self.query, attention.output.dense, …
        projections = nn.ModuleDict({name: nn.Linear(hidden, mixed) for name in ("query", "key", "value")})
        self.attention = nn.ModuleDict({"self": projections, "output": _Output(mixed, hidden, eps)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(hidden, inner)})
        self.output = _Output(inner, hidden, eps)
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Vectors (b, t, d) and an additive mask (b, 1, 1, t) -> vectors (b, t, d)."""
        projections: Any = self.attention["self"]
        heads = (x.shape[0], x.shape[1], self.heads_count, self.head_size)
        query, key, value = (projections[name](x).view(heads).transpose(1, 2) for name in ("query", "key", "value"))
        dropout = self.attention_dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        mixed = mixed.transpose(1, 2).reshape(x.shape[0], x.shape[1], self.heads_count * self.head_size)
        x = self.attention["output"](self.dropout, mixed, x)
        return self.output(self.dropout, F.gelu(self.intermediate["dense"](x)), x)  # type: ignore[no-any-return]


class _Output(nn.Module):
    def __init__(self, inner: int, hidden: int, eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, hidden)
        self.LayerNorm = nn.LayerNorm(hidden, eps=eps)

    def forward(self, dropout: nn.Module, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return self.LayerNorm(dropout(self.dense(x)) + residual)  # type: ignore[no-any-return]


class MeanPooledClassifier(nn.Module):
    """Encoder, mean over the real tokens, linear head."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = nn.ModuleDict(
            {"layer": nn.ModuleList(Layer(config, number) for number in range(config["num_hidden_layers"]))}
        )
        self.head = nn.Linear(config["hidden_size"], config["class_count"])

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Token ids and mask, both (b, t) -> logits (b, classes)."""
        return self.explain(input_ids, attention_mask)[0]

    def explain(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Token ids and mask, both (b, t) -> logits (b, classes) and what each layer gave, (b, t, d) each."""
        x = self.embeddings(input_ids)
        keep = attention_mask.to(x.dtype)
        # In this order ONNX Runtime's optimizer knows it for a mask and fuses the attention.
        additive = (1.0 - keep[:, None, None, :]) * MASKED
        layers: Any = self.encoder["layer"]
        states = []
        for layer in layers:
            x = layer(x, additive)
            states.append(x)
        weights = keep.unsqueeze(-1)
        return self.head((x * weights).sum(dim=1) / weights.sum(dim=1)), states


@model_builder
def mean_pooled_classifier(config: dict[str, Any]) -> nn.Module:
    """
    Build the architecture from a BERT configuration with ``class_count`` added.

    Weights are initialised as BERT's: normal with 0.02, so that a tiny model can be trained from nothing.
    """
    model = MeanPooledClassifier(config)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=config.get("initializer_range", 0.02))
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return model


def _shape(config: dict[str, Any], number: int) -> tuple[int, int, int]:
    """Return the heads, the size of a head and the neurons of a layer."""
    heads_count = config["num_attention_heads"]
    head_size = config.get("head_size", config["hidden_size"] // heads_count)
    heads, neurons = config.get("heads_per_layer"), config.get("neurons_per_layer")
    return (
        heads[number] if heads else heads_count,
        head_size,
        neurons[number] if neurons else config["intermediate_size"],
    )
