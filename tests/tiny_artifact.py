"""A two-layer, 16-wide model with random weights: everything an artifact needs, made in milliseconds."""

from pathlib import Path

import numpy as np
import torch

from perflib.artifact import Artifact, Lineage, Runtime
from perflib.encoded import Encoded
from perflib.engines.torch_engine import builder_name, save_module
from perflib.workloads.bert import mean_pooled_classifier

CONFIG = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "max_position_embeddings": 16,
    "type_vocab_size": 2,
    "pad_token_id": 0,
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "class_count": 3,
}
LINEARS_COUNT = 6 * 2 + 1  # query, key, value, attention output, two of the feed-forward, in two layers; the head


def write_artifact(folder: Path, *, runtime: Runtime | None = None, builder: str | None = None) -> Artifact:
    """Write the model and seal it."""
    torch.manual_seed(0)
    save_module(mean_pooled_classifier(CONFIG), folder)
    return Artifact.seal(
        folder,
        engine="torch",
        precision="fp32",
        builder=builder or builder_name(mean_pooled_classifier),
        config=CONFIG,
        labels=("bad", "fair", "good"),
        runtime=runtime or Runtime(batch_example_count=4, thread_count=1),
        lineage=Lineage("toy", None, (), {}),
    )


def make_inputs(count: int = 10) -> Encoded:
    """Make token ids whose lengths are 1, 2 … 8, 1, 2 …, padded on the right."""
    lengths = np.arange(count) % 8 + 1
    mask = (np.arange(8) < lengths[:, None]).astype(np.int64)  # (examples, tokens)
    ids = np.random.default_rng(0).integers(1, 40, (count, 8)) * mask
    return Encoded({"input_ids": ids, "attention_mask": mask})
