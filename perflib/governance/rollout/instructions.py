"""
The instruction sets without which a candidate stays where it is.

Its speed and its answers were seen on one processor. On another that lacks what the candidate's products run on, the
engine takes other kernels: slower, and with other roundings. What the processor has beside that does not matter.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from perflib.artifact import SPEC_FILE, ArtifactSpec
from perflib.governance.ledger import Ledger

# For each precision the instruction sets of its products, in the order in which engines prefer them.
_PRODUCTS: Mapping[str, Sequence[str]] = {
    "int8": ("amx_int8", "avx512_vnni", "avx_vnni", "i8mm", "asimddp"),
    "bf16": ("amx_bf16", "avx512_bf16", "bf16"),
    "fp16": ("avx512_fp16",),
}
_VECTORS = ("avx512f", "avx2", "sve2", "sve", "asimd")
# OpenVINO's word for: int8 weights are unpacked, and products are made in fp32.
_GROUP, _UNPACKED = "DYNAMIC_QUANTIZATION_GROUP_SIZE", "0"


def needed_isa(ledger: Ledger, name: str) -> tuple[str, ...]:
    """
    Return what a processor must have for this candidate.

    Args:
        ledger: Of its run; the machine is the one that answered the validation's questions, else the run's.
        name: Of the candidate. Where its artifact was tidied away, everything that the machine had is needed.
    """
    validation = ledger.validations.get(name)
    tested = validation.identity.isa_flags if validation else ledger.summary.machine.get("isa_flags", ())
    path = ledger.folder / "artifacts" / name / SPEC_FILE
    return isa_of(ArtifactSpec.read(path), tested) if path.is_file() else tuple(tested)


def isa_of(spec: ArtifactSpec, tested: Collection[str]) -> tuple[str, ...]:
    """
    Return which of the instruction sets of the tested processor an artifact uses.

    Args:
        spec: Says engine, precision, device, and what it was compiled for.
        tested: What the processor had on which the candidate was validated.
    """
    if spec.runtime.device == "cuda":
        return ()
    compiled: list[str] | None = spec.options.get("isa_flags")
    if compiled is not None:
        return tuple(compiled)  # machine code: its engine refuses to load it without all of them
    products = () if _is_unpacked(spec.options) else _PRODUCTS.get(spec.precision, ())
    used = next((flag for flag in (*products, *_VECTORS) if flag in tested), None)
    return () if used is None else (used,)


def _is_unpacked(options: Mapping[str, Any]) -> bool:
    return bool(options.get("settings", {}).get(_GROUP) == _UNPACKED)
