"""
Distillation: a smaller student is taught to answer as the model before it does.

The student begins with some of the parent's layers (or fewer of their neurons, or as another checkpoint), and learns
from softened logits, labels and the states of the layers; `perflib.compression.lessons` says how they are weighed.

    - distil: {layers: 4, epochs: 3, temperature: 4.0, alpha: [1.0, 0.9]}
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from perflib.artifact import SPEC_FILE, Artifact, ArtifactSpec, Runtime
from perflib.compression.materials import Labelled, Materials
from perflib.compression.stage import require_torch
from perflib.compression.students import Plan, make_student, parameter_count, plan_student, vocabulary_count
from perflib.compression.texts import IDS, Disturber, put_together, read_texts
from perflib.encoded import Encoded
from perflib.errors import DataError, StageError
from perflib.records import sha256_file, sha256_json

if TYPE_CHECKING:
    from perflib.compression.lessons import Lesson
    from perflib.compression.teaching import Arithmetic, TeachingDetails


@dataclasses.dataclass(frozen=True)
class Distil:
    """
    Teach a student and put it in the parent's place.

    Options:
        layers: How many of the parent's layers the student keeps; None keeps all.
        pick: Which, from 0; by default spread evenly, with the last one.
        ffn: Neurons that each layer keeps at most: those with the largest weights.
        channels: The student's convolution channels, where the parent is a convolutional network.
        student: A folder or a name on huggingface.co with a BERT of the same tokenizer, instead of the parent's layers.
        epochs: Passes over the training texts.
        learning_rate: The highest one.
        temperature: Softens the logits of both.
        alpha: Weight of the teacher's logits against the labels. Of several, the best on the tuning split stays.
        hidden_loss: Whether the states of the layers teach too, where both models show them.
        batch: Examples a step.
        unlabelled: A UTF-8 file with a text in each line, from which the student learns what the teacher says.
        augment_ratio: Share of tokens replaced in half of the texts, by words of other texts or the mask token.
        mask_id: The mask token's id; None replaces by words alone.
        arithmetic: Of the training; ``probe`` takes two seconds to find what is quicker here.
        teacher: Folder of an artifact of the same task that teaches instead of the parent.
    """

    layers: int | None = None
    pick: tuple[int, ...] | None = None
    ffn: int | None = None
    channels: tuple[int, ...] | None = None
    student: str = ""
    epochs: int = 3
    learning_rate: float = 2e-4
    temperature: float = 4.0
    alpha: float | tuple[float, ...] = 1.0
    hidden_loss: bool = True
    batch: int = 32
    unlabelled: str = ""
    augment_ratio: float = 0.0
    mask_id: int | None = None
    arithmetic: Literal["probe", "fp32", "bf16"] = "probe"
    teacher: str = ""

    def check(self, parent: ArtifactSpec, materials: Materials) -> ArtifactSpec:
        """Refuse numbers that teach nothing, a teacher of another task, and a student that is not smaller."""
        require_torch(parent, stage="distil")
        self._check_numbers()
        for split in ("train", "tuning"):
            materials.labelled(split, stage="distil")
        teacher = self._teacher_spec(parent)
        plan = self._plan(parent)
        made = dataclasses.replace(parent, builder=plan.builder, config=plan.config)
        student_count, teacher_count = parameter_count(made), parameter_count(teacher)
        if student_count >= teacher_count:
            raise StageError(
                f"the student of stage `distil` would have {student_count:,} parameters where its teacher has "
                f"{teacher_count:,}; give fewer `layers`, a smaller `ffn`, fewer `channels` or a smaller `student`."
            )
        self._check_texts(parent, materials)
        return made

    def apply(self, parent: Artifact, folder: Path, materials: Materials) -> tuple[Artifact, dict[str, Any]]:
        """Teach one student for each alpha, keep the best on tuning, and compare it with its teacher class by class."""
        from perflib.compression.lessons import compare_answers
        from perflib.compression.teaching import answer
        from perflib.engines.torch_engine import load_module, save_module

        guide = Artifact.load(Path(self.teacher)) if self.teacher else parent
        teacher, plan = load_module(guide.folder, guide.spec), self._plan(parent.spec)
        tuning = materials.labelled("tuning", stage="distil")
        told = answer(teacher, tuning.inputs)
        tries: list[_Try] = []
        for alpha in self._alphas():
            # One probe for all, so that they differ by alpha alone.
            arithmetic = tries[0].details.precision if tries else self.arithmetic
            module, origin = make_student(plan, parent, seed=materials.seed)
            details = self._teach(module, teacher, alpha, materials, arithmetic=arithmetic, runtime=parent.spec.runtime)
            said = answer(module, tuning.inputs)
            tries.append(_Try(module, said, float(np.mean(said.argmax(axis=1) == tuning.labels)), details, origin))
        best = max(tries, key=lambda one: one.accuracy_ratio)  # the first of equals
        save_module(best.module, folder)
        artifact = parent.derive(
            folder,
            {"distil": dataclasses.asdict(self)},
            packages=("torch",),
            details={
                "teacher_sha256": guide.digest,
                "alpha": best.details.lesson.alpha,
                "precision": best.details.precision,
                "thread_count": best.details.thread_count,
                "seed": materials.seed,
                **best.origin,
            },
            builder=plan.builder,
            config=plan.config,
        )
        proof = {
            "picked_layers": list(plan.kept_layers),
            "student_parameter_count": parameter_count(artifact.spec),
            "teacher_parameter_count": parameter_count(guide.spec),
            **compare_answers(best.said, told, tuning.labels, names=parent.spec.labels),
            **_training_facts(best.details),
            "alpha": best.details.lesson.alpha,
            "alphas": [one.to_dict() for one in tries],
        }
        return artifact, proof

    def outside_sha256(self) -> str:
        """Return a digest of the files that ``student``, ``unlabelled`` and ``teacher`` name; a hub's name has none."""
        named = [Path(word) for word in (self.student, self.unlabelled, self.teacher) if word]
        files = [path for one in named for path in (sorted(one.glob("*")) if one.is_dir() else [one]) if path.is_file()]
        return sha256_json([sha256_file(path) for path in files])

    def _teach(
        self,
        module: Any,
        teacher: Any,
        alpha: float,
        materials: Materials,
        *,
        arithmetic: "Arithmetic",
        runtime: Runtime,
    ) -> "TeachingDetails":
        from perflib.compression.lessons import Lesson
        from perflib.compression.teaching import teach

        inputs, labels = self._examples(materials)
        return teach(
            module,
            teacher,
            inputs,
            labels,
            lesson=Lesson(
                epochs=self.epochs,
                learning_rate=self.learning_rate,
                temperature=self.temperature,
                alpha=alpha,
                hidden_loss=self.hidden_loss,
                batch=self.batch,
                seed=materials.seed,
            ),
            disturb=Disturber.of(inputs, self.augment_ratio, mask_id=self.mask_id) if self.augment_ratio else None,
            arithmetic=arithmetic,
            thread_count=runtime.thread_count,
            checkpoint=materials.scratch / f"alpha-{alpha:g}.safetensors" if materials.scratch else None,
            label=f"distilling, alpha {alpha:g}" if len(self._alphas()) > 1 else "distilling",
        )

    def _plan(self, parent: ArtifactSpec) -> Plan:
        return plan_student(
            parent, layers=self.layers, pick=self.pick, ffn=self.ffn, channels=self.channels, student=self.student
        )

    def _alphas(self) -> tuple[float, ...]:
        return self.alpha if isinstance(self.alpha, tuple) else (self.alpha,)

    def _check_numbers(self) -> None:
        for name, least in (("epochs", 1), ("batch", 1), ("mask_id", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise StageError(f"option `{name}` of stage `distil` is {value}; give at least {least}.")
        for name in ("learning_rate", "temperature"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise StageError(f"option `{name}` of stage `distil` is {value:g}; give a number above 0.")
        if not self._alphas() or not all(0 <= alpha <= 1 for alpha in self._alphas()):
            raise StageError(f"option `alpha` of stage `distil` is {self.alpha}; give numbers from 0 to 1.")
        if not 0 <= self.augment_ratio < 1:
            raise StageError(f"option `augment_ratio` of stage `distil` is {self.augment_ratio:g}; give 0 to below 1.")

    def _teacher_spec(self, parent: ArtifactSpec) -> ArtifactSpec:
        if not self.teacher:
            return parent
        try:
            teacher = ArtifactSpec.read(Path(self.teacher) / SPEC_FILE)
        except DataError as error:
            raise StageError(f"the teacher `{self.teacher}` is no folder of an artifact; give one's path.") from error
        require_torch(teacher, stage="distil")
        tasks = [(spec.lineage.workload, spec.labels, vocabulary_count(spec.config)) for spec in (teacher, parent)]
        if tasks[0] != tasks[1]:
            raise StageError(
                f"`{self.teacher}` is a teacher of another task: {_task(*tasks[0])}, where {_task(*tasks[1])} "
                "is to be learned; name an artifact of the same workload."
            )
        return teacher

    def _check_texts(self, parent: ArtifactSpec, materials: Materials) -> None:
        is_text = IDS in materials.calibration.arrays
        if (self.augment_ratio or self.unlabelled) and not is_text:
            raise StageError(
                "`unlabelled` and `augment_ratio` of stage `distil` are for texts, which these inputs are not."
            )
        if self.mask_id is not None and self.mask_id >= (vocabulary_count(parent.config) or 0):
            raise StageError(f"option `mask_id` of stage `distil` is {self.mask_id}; the vocabulary ends before it.")
        if self.unlabelled and materials.encode is None:
            raise StageError("stage `distil` cannot encode unlabelled texts here; build from a workload.")
        if self.unlabelled:
            read_texts(Path(self.unlabelled))

    def _examples(self, materials: Materials) -> tuple[Encoded, NDArray[np.int64]]:
        """Return what is learned from: the labelled examples, then those that only the teacher answers."""
        from perflib.compression.lessons import UNLABELLED

        train: Labelled = materials.labelled("train", stage="distil")
        if not self.unlabelled or materials.encode is None:
            return train.inputs, train.labels
        more = materials.encode(read_texts(Path(self.unlabelled)))
        nothing = np.full(len(more), UNLABELLED, np.int64)
        return put_together(train.inputs, more), np.concatenate([train.labels, nothing])


@dataclasses.dataclass(frozen=True)
class _Try:
    module: Any
    said: NDArray[np.float32]
    accuracy_ratio: float
    details: "TeachingDetails"
    origin: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        lesson: Lesson = self.details.lesson
        return {
            "alpha": lesson.alpha,
            "tuning_accuracy_ratio": self.accuracy_ratio,
            "last_loss_nat": self.details.epoch_losses_nat[-1],
        }


def _training_facts(details: "TeachingDetails") -> dict[str, Any]:
    facts = dataclasses.asdict(details)
    facts.pop("lesson")
    steps_sec = {name: facts.pop(name) for name in ("fp32_step_sec", "bf16_step_sec")}
    facts["epoch_losses_nat"] = list(facts["epoch_losses_nat"])
    return facts | {name: value for name, value in steps_sec.items() if value is not None}


def _task(workload: str, labels: Sequence[str], tokens_count: int | None) -> str:
    return f"{workload} with the labels {', '.join(labels)}" + (f" and {tokens_count:,} tokens" if tokens_count else "")
