"""
The student before its first lesson: layers of the parent, fewer neurons, another checkpoint, or a fresh small network.

What it will be is known from configurations alone, so a student that cannot be is refused before any work.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perflib import records
from perflib.artifact import Artifact, ArtifactSpec
from perflib.errors import DataError, SetupError, StageError

BERT = "perflib.workloads.bert:mean_pooled_classifier"
CONVNET = "perflib.workloads.convnet:small_convnet"
_BERT_KEYS = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    *("max_position_embeddings", "type_vocab_size", "pad_token_id", "layer_norm_eps", "initializer_range"),
    *("hidden_dropout_prob", "attention_probs_dropout_prob"),
)
_CONFIG_FILE, _WEIGHTS_FILE = "config.json", "model.safetensors"


@dataclasses.dataclass(frozen=True)
class Plan:
    """
    What the student will be.

    ``kept_layers`` are the parent's whose weights it begins with, empty where they come from elsewhere; ``checkpoint``
    says from where.
    """

    builder: str
    config: dict[str, Any]
    kept_layers: tuple[int, ...] = ()
    checkpoint: str = ""


def plan_student(
    parent: ArtifactSpec,
    *,
    layers: int | None = None,
    pick: Sequence[int] | None = None,
    ffn: int | None = None,
    channels: Sequence[int] | None = None,
    student: str = "",
) -> Plan:
    """
    Say what the options make of a parent.

    Raises:
        StageError: If they do not suit it.
        SetupError: If a named student cannot be fetched.
    """
    cuts = {"layers": layers, "pick": pick, "ffn": ffn}
    if student:
        _refuse({**cuts, "channels": channels}, because="the student is a checkpoint of its own")
        return _plan_named(student, parent)
    if parent.builder == CONVNET:
        _refuse(cuts, because="the parent is a convolutional network; give `channels`")
        return Plan(CONVNET, parent.config | {"channels_counts": _checked_channels(channels)})
    if parent.builder == BERT:
        _refuse({"channels": channels}, because="the parent is a BERT; give `layers` or `ffn`")
        return _plan_cut(parent.config, layers=layers, pick=pick, ffn=ffn)
    raise StageError(
        f"stage `distil` cannot cut {parent.builder} smaller, only perflib's own BERT and convolutional network; "
        "name a smaller BERT checkpoint with the same tokenizer as `student`."
    )


def spread_layers(count: int, *, of: int) -> tuple[int, ...]:
    """
    Choose layers spread evenly, the last one always among them.

    Example:
        >>> spread_layers(4, of=6)
        (1, 2, 3, 5)
    """
    return tuple(max(round((position + 1) * of / count) - 1, 0) for position in range(count))


def parameter_count(spec: ArtifactSpec) -> int:
    """Count a torch fp32 artifact's parameters by its architecture or, where that is not ours, by its files."""
    import torch

    if spec.builder not in {BERT, CONVNET}:
        return sum(file.bytes for file in spec.files) // 4
    with torch.device("meta"):  # nothing is allocated there
        return sum(parameter.numel() for parameter in _build(spec.builder, spec.config).parameters())


def make_student(plan: Plan, parent: Artifact, *, seed: int) -> tuple[Any, dict[str, str]]:
    """
    Make the student that was planned.

    Returns:
        A `torch.nn.Module` that shares no weight with the parent, and the digests of what it was read from.
    """
    import torch

    from perflib.engines.torch_engine import load_module

    if plan.kept_layers:
        from perflib.compression.bert_surgery import cut_layers

        module, config = cut_layers(load_module(parent.folder, parent.spec), parent.spec.config, plan.kept_layers)
        return _narrow(module, config, plan.config), {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _build(plan.builder, plan.config)
    return module, _load_named(module, plan.checkpoint) if plan.checkpoint else {}


def vocabulary_count(config: dict[str, Any]) -> int | None:
    """Return how many token ids a model's inputs may have; None for inputs that are no tokens."""
    count: int | None = config.get("full_vocab_size") or config.get("vocab_size")
    return count


def _build(builder: str, config: dict[str, Any]) -> Any:
    from perflib.workloads.bert import mean_pooled_classifier
    from perflib.workloads.convnet import small_convnet

    return {BERT: mean_pooled_classifier, CONVNET: small_convnet}[builder](config)


def _refuse(options: dict[str, Any], *, because: str) -> None:
    for name, value in options.items():
        if value is not None:
            raise StageError(f"option `{name}` of stage `distil` has no meaning here, because {because}.")


def _checked_channels(channels: Sequence[int] | None) -> list[int]:
    if not channels or min(channels) < 1:
        raise StageError(
            f"option `channels` of stage `distil` is {channels}; give one number from 1 on for each stage."
        )
    return list(channels)


def _plan_cut(config: dict[str, Any], *, layers: int | None, pick: Sequence[int] | None, ffn: int | None) -> Plan:
    from perflib.compression.prune_checks import counts_of, with_counts

    heads, neurons = counts_of(config)
    kept = _kept_layers(len(heads), layers, pick)
    if ffn is not None and not 1 <= ffn <= max(neurons):
        raise StageError(f"option `ffn` of stage `distil` is {ffn}; the parent's layers have {max(neurons)} neurons.")
    widths = [min(neurons[at], ffn or neurons[at]) for at in kept]
    return Plan(BERT, with_counts(config, [heads[at] for at in kept], widths), kept)


def _kept_layers(whole_count: int, layers: int | None, pick: Sequence[int] | None) -> tuple[int, ...]:
    count = layers if layers is not None else len(pick) if pick is not None else whole_count
    if not 1 <= count <= whole_count:
        raise StageError(f"stage `distil` asks for {count} layers of a parent with {whole_count}; ask for fewer.")
    kept = tuple(pick) if pick is not None else spread_layers(count, of=whole_count)
    if len(kept) != count or sorted(set(kept)) != list(kept) or not 0 <= kept[0] <= kept[-1] < whole_count:
        raise StageError(
            f"option `pick` of stage `distil` is {list(kept)}; give {count} different layers from 0 to "
            f"{whole_count - 1}, in rising order."
        )
    return kept


def _narrow(module: Any, config: dict[str, Any], wanted: dict[str, Any]) -> Any:
    """Keep in each layer the neurons whose weights, those that make them and those that read them, are the largest."""
    import torch

    from perflib.compression.bert_surgery import cut_units, layers_of
    from perflib.compression.prune_checks import counts_of

    heads, neurons = counts_of(config)
    widths = counts_of(wanted)[1]
    if widths == neurons:
        return module
    kept = []
    for layer, width in zip(layers_of(module), widths, strict=True):
        made: Any = layer.intermediate["dense"]  # type: ignore[index]
        read: Any = layer.output.dense  # type: ignore[union-attr]
        sizes = made.weight.norm(dim=1) * read.weight.norm(dim=0)
        kept.append(torch.sort(torch.topk(sizes, width).indices).values)
    return cut_units(module, config, [torch.arange(count) for count in heads], kept)[0]


def _plan_named(student: str, parent: ArtifactSpec) -> Plan:
    found = records.read_json(_fetch(student, _CONFIG_FILE))
    missing = [key for key in _BERT_KEYS if key not in found]
    if found.get("model_type") != "bert" or found.get("hidden_act", "gelu") != "gelu" or missing:
        raise StageError(
            f"the student `{student}` is a {found.get('model_type', 'model of unknown type')} "
            f"{f'without {missing[0]} ' if missing else ''}with {found.get('hidden_act', 'no')} activation; "
            "give a BERT checkpoint with gelu."
        )
    wanted = vocabulary_count(parent.config)
    if found["vocab_size"] != wanted:
        raise StageError(
            f"the student `{student}` has another vocabulary ({found['vocab_size']} tokens) than what it shall replace "
            f"({wanted or 'no'} tokens); give one with the same tokenizer."
        )
    longest = parent.config.get("max_position_embeddings", 0)
    if found["max_position_embeddings"] < longest:
        raise StageError(
            f"the student `{student}` takes {found['max_position_embeddings']} tokens where its teacher takes "
            f"{longest}; give one for texts as long."
        )
    config = {key: found[key] for key in _BERT_KEYS} | {"class_count": len(parent.labels)}
    return Plan(BERT, config, checkpoint=student)


def _fetch(student: str, name: str) -> Path:
    """Return a file of a checkpoint: of a folder, or of huggingface.co."""
    if Path(student).is_dir():
        return Path(student) / name
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(student, name))
    # The hub's client raises its own, httpx's and the system's errors: each of them means "not delivered".
    except Exception as error:
        detail = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise SetupError(
            f"{name} of the student `{student}` is in no folder of that name and cannot be fetched from huggingface.co "
            f"({detail}); correct the name, connect to the network, or give the path of a downloaded checkpoint."
        ) from error


def _load_named(module: Any, student: str) -> dict[str, str]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = _fetch(student, _WEIGHTS_FILE)
    try:
        found = {_our_name(name): tensor for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} holds no safetensors ({error}); convert the checkpoint, or name another.") from error
    missing = [name for name in module.state_dict() if name not in found and not name.startswith("head.")]
    if missing:
        raise DataError(f"the student `{student}` has no weights named {missing[0]}; name a BERT checkpoint.")
    # The head is new: what the checkpoint was trained to say is not what it shall learn.
    encoder = {name: found[name] for name in module.state_dict() if not name.startswith("head.")}
    module.load_state_dict(encoder, strict=False)
    return {"student_sha256": records.sha256_file(path)}


def _our_name(name: str) -> str:
    """Return our name of a checkpoint's weight; old ones call a layer norm's weight and bias gamma and beta."""
    ours = name.removeprefix("bert.").replace("LayerNorm.gamma", "LayerNorm.weight")
    return ours.replace("LayerNorm.beta", "LayerNorm.bias")
