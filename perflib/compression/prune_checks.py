"""
What the stage `prune` refuses before any work, and what shape it will leave.

Shares that take everything or nothing, parts that a model has not, examples that are not there.
"""

import importlib.util
import math
from typing import TYPE_CHECKING, Any

from perflib.artifact import ArtifactSpec
from perflib.compression.choosing import kept_count
from perflib.compression.materials import Materials
from perflib.errors import SetupError, StageError

if TYPE_CHECKING:
    from perflib.compression.prune import Prune

BERT = "perflib.workloads.bert:mean_pooled_classifier"
CONVNET = "perflib.workloads.convnet:small_convnet"
RATIOS = ("heads_ratio", "neurons_ratio", "layers_ratio", "channels_ratio", "weights_ratio")
# Vector kernels compute eight or more numbers at once; neurons beyond a multiple would cost as much as the full eight.
NEURON_MULTIPLE = 8


def check_options(stage: "Prune") -> None:
    """Refuse shares and counts that make no sense, whatever the model."""
    for name in RATIOS:
        ratio = getattr(stage, name)
        if ratio == 1.0:
            raise StageError(f"option `{name}` of stage `prune` is 1.0; a ratio of 1.0 would remove everything.")
        if not 0 <= ratio < 1:
            raise StageError(f"option `{name}` of stage `prune` is {ratio}; give a share from 0 to below 1.")
    if not stage.layers and not any(getattr(stage, name) for name in RATIOS):
        raise StageError(f"stage `prune` has nothing to prune; give one of {', '.join(RATIOS)} or layers.")
    if stage.layers and stage.layers_ratio:
        raise StageError("stage `prune` has both layers and layers_ratio; give one of them.")
    for name, least in (("rounds", 1), ("finetune_epochs", 0), ("score_examples", 1)):
        if getattr(stage, name) < least:
            raise StageError(f"option `{name}` of stage `prune` is {getattr(stage, name)}; give at least {least}.")
    if not 0 < stage.learning_rate < math.inf:
        raise StageError(f"option `learning_rate` of stage `prune` is {stage.learning_rate}; give one above 0.")


def check_architecture(stage: "Prune", parent: ArtifactSpec) -> None:
    """Refuse parts that nobody taught this stage to cut out of the parent's architecture."""
    is_encoder = bool(stage.heads_ratio or stage.neurons_ratio or stage.layers or stage.layers_ratio)
    for is_asked, builder, kinds in (
        (is_encoder, BERT, "heads, neurons and layers"),
        (bool(stage.channels_ratio), CONVNET, "channels"),
    ):
        if is_asked and parent.builder != builder:
            raise StageError(
                f"stage `prune` knows {kinds} of {builder} only, but the model is {parent.builder}; "
                "prune its single weights (weights_ratio), or write a stage for it."
            )
    if stage.layers:
        _check_layers(stage.layers, parent.config["num_hidden_layers"])
    if stage.channels_ratio and importlib.util.find_spec("torch_pruning") is None:
        raise SetupError("pruning channels needs torch-pruning, which is not installed; pip install torch-pruning.")


def check_materials(stage: "Prune", materials: Materials) -> None:
    """Refuse to score or train on examples that are not there."""
    if stage.finetune_epochs:
        materials.labelled("train", stage="prune")
    if stage.score == "activation":
        materials.check_sample(stage.score_examples, stage="prune")
    if stage.score == "gradient":
        count = len(materials.labelled("train", stage="prune"))
        if stage.score_examples > count:
            raise StageError(
                f"stage `prune` asks for {stage.score_examples} training examples where the training split has "
                f"{count}; give at most {count}."
            )


def predict_config(stage: "Prune", parent: ArtifactSpec) -> dict[str, Any]:
    """
    Return the configuration that will come out, and refuse shares too small to take anything.

    Where parts of all layers compete, how they spread is not known before; equal shares stand for it.
    """
    config = parent.config
    if stage.channels_ratio:
        counts = config["channels_counts"]
        kept = [kept_count(count, stage.channels_ratio) for count in counts]
        _check_gone(stage, "channels_ratio", counts, kept)
        return {**config, "channels_counts": kept}
    if parent.builder != BERT:
        return config
    layers = _predict_layers(stage, config["num_hidden_layers"])
    before, kept_counts = (
        kept_of_layers(config, layers),
        kept_of_layers(config, layers, heads_ratio=stage.heads_ratio, neurons_ratio=stage.neurons_ratio),
    )
    for name, counts, kept in zip(("heads_ratio", "neurons_ratio"), before, kept_counts, strict=True):
        _check_gone(stage, name, counts, kept)
    return with_counts(config, *kept_counts)


def kept_of_layers(
    config: dict[str, Any], layers: tuple[int, ...], *, heads_ratio: float = 0.0, neurons_ratio: float = 0.0
) -> tuple[list[int], list[int]]:
    """Return how many heads and neurons stay in each of these layers when such shares go."""
    heads, neurons = counts_of(config)
    return (
        [kept_count(heads[at], heads_ratio) for at in layers],
        [kept_count(neurons[at], neurons_ratio, multiple=NEURON_MULTIPLE) for at in layers],
    )


def counts_of(config: dict[str, Any]) -> tuple[list[int], list[int]]:
    """Return the heads and the neurons of every layer of an encoder."""
    layers_count = config["num_hidden_layers"]
    heads = config.get("heads_per_layer") or [config["num_attention_heads"]] * layers_count
    neurons = config.get("neurons_per_layer") or [config["intermediate_size"]] * layers_count
    return list(heads), list(neurons)


def with_counts(config: dict[str, Any], heads: list[int], neurons: list[int]) -> dict[str, Any]:
    """Return an encoder's configuration with these heads and neurons, in lists only where they differ from its own."""
    lists = {"heads_per_layer", "neurons_per_layer"}
    new = {key: value for key, value in config.items() if key not in lists}
    new["num_hidden_layers"] = len(heads)
    if set(heads) != {config["num_attention_heads"]}:
        new |= {"heads_per_layer": heads, "head_size": head_size(config)}
    if set(neurons) != {config["intermediate_size"]}:
        new["neurons_per_layer"] = neurons
    return new


def head_size(config: dict[str, Any]) -> int:
    """Return how many numbers a head has, which pruning never changes."""
    size: int = config.get("head_size", config["hidden_size"] // config["num_attention_heads"])
    return size


def _check_layers(layers: tuple[int, ...], count: int) -> None:
    if len(set(layers)) < len(layers) or any(not 0 <= layer < count for layer in layers):
        raise StageError(
            f"option `layers` of stage `prune` is {list(layers)}; give different numbers from 0 to {count - 1}."
        )
    if len(layers) == count:
        raise StageError(f"option `layers` of stage `prune` names all {count} layers; leave at least one.")


def _check_gone(stage: "Prune", name: str, before: list[int], kept: list[int]) -> None:
    ratio = getattr(stage, name)
    if ratio and before == kept:
        raise StageError(
            f"option `{name}` of stage `prune` is {ratio}, which of {before[0]} takes none after rounding; "
            "give a larger share."
        )


def _predict_layers(stage: "Prune", count: int) -> tuple[int, ...]:
    """Return the layers that stay; by a share, the first ones stand for those that the score will choose."""
    if stage.layers:
        return tuple(number for number in range(count) if number not in stage.layers)
    kept = kept_count(count, stage.layers_ratio)
    _check_gone(stage, "layers_ratio", [count], [kept])
    return tuple(range(kept))
