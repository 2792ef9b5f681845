"""
Leave out what matters least: heads, neurons, layers, channels, or single weights.

The first four make a smaller model that does less work; single zeros save nothing on dense kernels, and the proof says
so. In rounds, a part goes, the rest is trained, and what goes next is judged anew.

    - prune: {heads_ratio: 0.25, neurons_ratio: 0.5, score: gradient, rounds: 2, finetune_epochs: 1}
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from perflib.artifact import Artifact, ArtifactSpec
from perflib.compression.choosing import choose, kept_count
from perflib.compression.materials import Labelled, Materials
from perflib.compression.prune_checks import (
    BERT,
    CONVNET,
    check_architecture,
    check_materials,
    check_options,
    counts_of,
    kept_of_layers,
    predict_config,
)
from perflib.compression.stage import require_torch

if TYPE_CHECKING:
    from torch import nn

    from perflib.compression.importance import Judge

# The probe of bf16 takes two seconds, which a small model would not earn back.
_PROBE_PARAMETER_COUNT = 1_000_000


@dataclasses.dataclass(frozen=True)
class Prune:
    """
    Remove parts of a PyTorch fp32 model, never more than the share asked for.

    Args:
        heads_ratio: Share of the attention heads; every layer keeps at least one.
        neurons_ratio: Share of the feed-forward neurons; what stays is rounded up to a multiple of 8, because vector
            kernels compute that many at once.
        layers: Encoder layers to remove, counted from 0.
        layers_ratio: Or the share of them, the least important first.
        channels_ratio: Share of every convolution's channels.
        weights_ratio: Share of single weights to set to zero.
        score: What is unimportant; see `perflib.compression.importance`.
        rounds: In how many equal parts it goes; ``layers`` go in the first.
        finetune_epochs: Passes over the training split after each round.
        learning_rate: Of that training.
        score_examples: How many calibration (activation) or training examples (gradient) a score looks at.
        is_uniform: Whether every layer loses the same share, or the least important parts of all layers go.
    """

    heads_ratio: float = 0.0
    neurons_ratio: float = 0.0
    layers: tuple[int, ...] | None = None
    layers_ratio: float = 0.0
    channels_ratio: float = 0.0
    weights_ratio: float = 0.0
    score: Literal["magnitude", "activation", "gradient"] = "magnitude"
    rounds: int = 1
    finetune_epochs: int = 0
    learning_rate: float = 5e-5
    score_examples: int = 256
    is_uniform: bool = True

    def check(self, parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:
        """Refuse shares that leave nothing or take nothing, parts that the model has not, and missing examples."""
        require_torch(parent, stage="prune")
        check_options(self)
        check_architecture(self, parent)
        check_materials(self, materials)
        return dataclasses.replace(parent, config=predict_config(self, parent))

    def apply(self, parent: Artifact, folder: Path, materials: Materials) -> tuple[Artifact, dict[str, Any]]:
        """Prune round by round, save, load again, and count what is left."""
        from perflib.engines.torch_engine import load_module, save_module

        self.check(parent.spec, materials)
        model = load_module(parent.folder, parent.spec)
        layers_count = parent.spec.config.get("num_hidden_layers", 0)
        patient = _Patient(model, parent.spec.config, tuple(range(layers_count)))
        rounds = []
        for number in range(1, self.rounds + 1):
            patient, record = self._round(patient, number, parent.spec, materials)
            rounds.append(record)
        save_module(patient.model, folder)
        artifact = parent.derive(
            folder,
            {"prune": dataclasses.asdict(self)},
            packages=("torch", "torch-pruning") if self.channels_ratio else ("torch",),
            details={"kept_layers": list(patient.layers)} if patient.layers else {},
            config=patient.config,
        )
        return artifact, {**self._prove(parent, artifact, patient), "rounds": rounds}

    # --- one round --------------------------------------------------------------------------------------------------

    def _round(
        self, patient: "_Patient", number: int, parent: ArtifactSpec, materials: Materials
    ) -> tuple["_Patient", dict[str, Any]]:
        from perflib.compression.zeroing import held, prunable_layers, zero_masks

        share, judge = number / self.rounds, self._judge(materials)
        if parent.builder == BERT:
            patient = self._cut_encoder(patient, share, parent.config, judge)
        if self.channels_ratio:
            patient = self._cut_channels(patient, share, parent.config, judge, materials)
        layers, masks = [], []
        if self.weights_ratio:
            layers = prunable_layers(patient.model, class_count=len(parent.labels))
            masks = zero_masks(patient.model, layers, self.weights_ratio * share, judge, is_uniform=self.is_uniform)
        record: dict[str, Any] = {"round": number, "parameter_count": _parameter_count(patient.model)}
        record |= _accuracy("accuracy_before_finetuning_ratio", patient.model, materials.tuning)
        if self.finetune_epochs:
            with held(layers, masks):
                record |= self._finetune(patient.model, parent, materials, number)
            record |= _accuracy("accuracy_after_finetuning_ratio", patient.model, materials.tuning)
        return patient, record

    def _judge(self, materials: Materials) -> "Judge":
        import numpy as np

        from perflib.compression.importance import Judge

        if self.score == "magnitude":
            return Judge("magnitude")
        if self.score == "gradient":
            return Judge("gradient", materials.labelled("train", stage="prune").stratified(self.score_examples))
        inputs = materials.sample(self.score_examples, stage="prune")
        return Judge("activation", Labelled(inputs, np.zeros(len(inputs), np.int64)))

    def _cut_encoder(self, patient: "_Patient", share: float, whole: dict[str, Any], judge: "Judge") -> "_Patient":
        from perflib.compression import bert_surgery as surgery

        gone = self.layers or ()
        stay = [at for at, number in enumerate(patient.layers) if number not in gone]
        count = kept_count(whole["num_hidden_layers"], self.layers_ratio * share)
        if self.layers_ratio and count < len(patient.layers):
            stay = surgery.choose_layers(patient.model, count, judge)
        model, config = patient.model, patient.config
        if len(stay) < len(patient.layers):
            model, config = surgery.cut_layers(model, config, stay)
        layers = tuple(patient.layers[at] for at in stay)
        if self.heads_ratio or self.neurons_ratio:
            counts = kept_of_layers(
                whole, layers, heads_ratio=self.heads_ratio * share, neurons_ratio=self.neurons_ratio * share
            )
            kept = surgery.choose_units(model, *counts, judge, is_uniform=self.is_uniform)
            model, config = surgery.cut_units(model, config, *kept)
        return _Patient(model, config, layers)

    def _cut_channels(
        self, patient: "_Patient", share: float, whole: dict[str, Any], judge: "Judge", materials: Materials
    ) -> "_Patient":
        import torch

        from perflib.compression import conv_surgery as surgery
        from perflib.engines.torch_engine import to_tensors

        example = to_tensors(materials.calibration.take([0]).arrays, device="cpu", dtype=torch.float32)
        scores = judge.units(patient.model, surgery.channel_units(patient.model, example))
        counts = [kept_count(count, self.channels_ratio * share) for count in whole["channels_counts"]]
        kept = choose(judge.comparable(scores), counts, is_uniform=self.is_uniform)
        config = surgery.cut_channels(patient.model, patient.config, example, kept)
        return dataclasses.replace(patient, config=config)

    def _finetune(self, model: "nn.Module", parent: ArtifactSpec, materials: Materials, number: int) -> dict[str, Any]:
        from perflib.workloads.finetune import finetune

        train = materials.labelled("train", stage="prune")
        training = finetune(
            model,
            train.inputs,
            train.labels,
            seed=materials.seed + number,
            epochs_count=self.finetune_epochs,
            learning_rate=self.learning_rate,
            bf16="probe" if _parameter_count(model) >= _PROBE_PARAMETER_COUNT else "no",
            thread_count=parent.runtime.thread_count,
            label=f"fine-tuning, round {number} of {self.rounds}",
        )
        return {"train_sec": training.train_sec, "train_precision": training.precision}

    def _prove(self, parent: Artifact, artifact: Artifact, patient: "_Patient") -> dict[str, Any]:
        """Describe what the saved files hold, not what was meant to be saved."""
        from perflib.compression.zeroing import WHY_NOT_FASTER, prunable_layers, zero_share
        from perflib.engines.torch_engine import load_module

        made = load_module(artifact.folder, artifact.spec)
        before, after = _parameter_count(load_module(parent.folder, parent.spec)), _parameter_count(made)
        proof: dict[str, Any] = {"parent_parameter_count": before, "parameter_count": after}
        if parent.spec.builder == BERT:
            heads, neurons = counts_of(artifact.spec.config)
            proof |= {"kept_layers": list(patient.layers), "heads_count": heads, "neurons_count": neurons}
        if parent.spec.builder == CONVNET:
            proof["channels_count"] = list(artifact.spec.config["channels_counts"])
        if self.weights_ratio:
            proof["zero_share_ratio"] = zero_share(prunable_layers(made, class_count=len(parent.spec.labels)))
        is_smaller = after < before
        proof |= {"is_smaller": is_smaller, "is_faster_expected": is_smaller}
        return proof if is_smaller else {**proof, "why": WHY_NOT_FASTER}


@dataclasses.dataclass(frozen=True)
class _Patient:
    """A model between two cuts; ``layers`` are the numbers that its layers had in the parent."""

    model: "nn.Module"
    config: dict[str, Any]
    layers: tuple[int, ...]


def _parameter_count(model: "nn.Module") -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _accuracy(name: str, model: "nn.Module", tuning: Labelled | None) -> dict[str, float]:
    """Return the share of tuning examples answered rightly under this name; nothing where there are none."""
    if tuning is None:
        return {}
    import torch

    from perflib.batching import plan_batches
    from perflib.engines.torch_engine import to_tensors
    from perflib.progress import Progress

    right_count = 0
    batches = plan_batches(tuning.inputs.lengths(), "sorted", example_count=32)
    with Progress("answering the tuning split", len(batches)) as bar, torch.no_grad():
        for rows in batches:
            logits = model(**to_tensors(tuning.inputs.take(rows).arrays, device="cpu", dtype=torch.float32))
            right_count += int((logits.argmax(dim=1).numpy() == tuning.labels[rows]).sum())
            bar.step()
    return {name: right_count / len(tuning)}
