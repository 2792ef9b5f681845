"""
A torch artifact converted to OpenVINO, compared with what it comes from before anything is made of it.

A wrong conversion may be wrong at one length only, so logits are compared over batches of many lengths.
"""

import contextlib
import dataclasses
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflib.artifact import Artifact
from perflib.compression.quantizers import openvino_graph
from perflib.encoded import MASK, Encoded
from perflib.errors import StageError

PARITY_LOGIT = 1e-2
_PARITY_BATCHES = 8
_UNSUPPORTED = re.compile(r"No conversion rule found for operations: ([^\n]+)")


@dataclasses.dataclass(frozen=True)
class Source:
    """A torch artifact, its fp32 conversion, by how much their logits differ, and the sample they were compared on."""

    parent: Artifact
    model: Any
    largest_logit_difference: float
    sample: Encoded

    @property
    def is_transformer(self) -> bool:
        """Whether the inputs have an attention mask."""
        return MASK in self.sample.arrays


def convert(parent: Artifact, sample: Encoded) -> Source:
    """
    Convert a torch artifact and compare the logits.

    Raises:
        StageError: If the model has an unsupported operator, or the logits differ.
    """
    from perflib.engines import openvino_engine

    with quiet():
        with naming_what_is_unsupported():
            model = openvino_engine.convert(parent, sample.take([0, 1]) if len(sample) > 1 else sample)
        difference = parity(parent, openvino_engine.compile_model(model, precision="fp32"), sample)
    return Source(parent, model, difference, sample)


def parity(parent: Artifact, compiled: Any, sample: Encoded) -> float:
    """
    Return the largest difference of logits between the source and its conversion, over batches of many lengths.

    Raises:
        StageError: If it is larger than `PARITY_LOGIT`.
    """
    session = parent.open()
    ranked = np.argsort(sample.lengths(), kind="stable")
    differences = []
    for rows in np.array_split(ranked, min(_PARITY_BATCHES, len(sample))):
        arrays: Mapping[str, NDArray[np.generic]] = sample.take(rows).arrays
        converted = np.asarray(compiled(dict(arrays))[0], dtype=np.float64)
        differences.append(np.abs(converted - session(arrays)).max())
    largest = float(np.max(differences))  # NaN if one is, unlike Python's max
    if not largest <= PARITY_LOGIT:
        raise StageError(
            f"the converted model differs from its source by {largest:.2g} in a logit, more than {PARITY_LOGIT:g}; "
            "the conversion is wrong at some length, so nothing was quantized."
        )
    return largest


@contextlib.contextmanager
def naming_what_is_unsupported() -> Iterator[None]:
    """Raise `StageError` where a model cannot be converted, with the operator that is to blame where it is told."""
    try:
        yield
    except Exception as error:
        # The library raises bare exceptions, and tracing whatever the model raises.
        found = _UNSUPPORTED.search(str(error))
        what = f"no rule for {found[1].strip()}" if found else " ".join(str(error).split())[:200]
        raise StageError(f"OpenVINO cannot convert this model ({what}); use another engine.") from error


def kept_operations(
    source: Source, kept: tuple[str, ...], *, words: tuple[str, ...]
) -> tuple[list[str], list[str], int]:
    """
    Say which operations belong to the torch modules that stay in floating point.

    Args:
        source: From `convert`.
        kept: Names of torch modules.
        words: What else could have been meant by an unknown name.

    Returns:
        The linear operations to keep, patterns for all operations to keep, and the number of all linear layers.

    Raises:
        StageError: If no module has a name.
    """
    import torch

    from perflib.engines.torch_engine import load_module, to_tensors

    module = load_module(source.parent.folder, source.parent.spec)
    names = {part: name for name, part in module.named_modules() if name}
    ran: list[str] = []
    for part, name in names.items():
        if isinstance(part, torch.nn.Linear | torch.nn.Conv2d):
            part.register_forward_pre_hook(lambda _part, _given, name=name: ran.append(name))
    with torch.inference_mode():
        module(**to_tensors(source.sample.take([0]).arrays, device="cpu", dtype=torch.float32))
    layers = openvino_graph.linear_layers(source.model, ran)
    operations, patterns = openvino_graph.operations_of(kept, layers, known=list(names.values()), words=words)
    return operations, patterns, len(ran)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep bars of other libraries and torch's tracing remarks out of notebooks; perflib shows its own progress."""
    from IPython.utils.capture import capture_output  # in a notebook, rich's bars are displays and no prints

    with capture_output(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
