"""
AOTInductor: a PyTorch model compiled ahead of time to one package of machine code, `model.pt2`.

The package is made where a C++ compiler is, and runs without one. Its weights are constants of the code ("freezing"),
because otherwise they cannot be packed for the products and little is gained.

torch's loader unpickles: besides compiled code, a `.pt2` may hold exported programs, whose weights and objects go
through `torch.load` and `pickle`. So the archive is listed first, and anything but generated source, its shared library
and their metadata is refused; the shared library is machine code all the same, and is opened because
`perflib.artifact.Artifact.load` has found the digest that we wrote.

Compiled code checks nothing. A longer text would be read out of bounds, ids of 32 bits would be read as 64. So the
artifact's options say what each input must be (`describe_inputs`), and `fit` converts it or refuses it in words.

One limit: torch holds the interpreter's lock during a call, so replicas in threads of one process take turns.
"""

import contextlib
import os
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from perflib import machine, project
from perflib.artifact import ArtifactSpec
from perflib.encoded import MASK, Encoded
from perflib.engines import Session
from perflib.errors import DataError, SetupError, StageError

PACKAGE_FILE = "model.pt2"
COMPILERS = ("g++", "clang++")
BATCH, LENGTH = "batch", "length"
# Neither 0 nor 1, which torch would take for constants, and not equal, which it would take for one size.
EXAMPLE_BATCH, EXAMPLE_LENGTH = 3, 5
SETTINGS: dict[str, Any] = {
    # In this process: workers would outlive the compilation, and disturb what is timed after it.
    "compile_threads": 1,
    # Otherwise the number of threads of the building process would be a constant of the code.
    "cpp.dynamic_threads": True,
    # Line numbers for a debugger are more than half of a small package.
    "aot_inductor.enable_line_tables": False,
}
# The JSON beside the code says which of torch's operators it calls by name; nothing in it can be code.
_INSIDE = re.compile(
    r"[^/]+/(?:data/aotinductor/model/[^/]+(?:\.cpp|\.so|_metadata\.json|\.wrapper\.json)"
    r"|archive_format|archive_version|byteorder|\.data/version|\.data/serialization_id)"
)
# The products that the generated code calls, where weights are int8.
_INT8_PRODUCT = re.compile(r"\baoti_torch_cpu_(?:_qlinear_pointwise\w*|_qconv\w*|_int_mm\w*|_weight_int8pack_mm)\(")
_CONSTANT = re.compile(r"constants_info_\[(\d+)\]\.dtype = cached_torch_dtype_(\w+);")
_CONSTANT_SHAPE = re.compile(r"constants_info_\[(\d+)\]\.shape = \{([^}]*)\};")

# Packages stay loaded to the end of the process: unloading one whose threads still idle in it has crashed the process.
_loaded: list[object] = []


def find_compiler() -> str | None:
    """Return the C++ compiler that torch would use, ``CXX`` or the first of `COMPILERS`; None where there is none."""
    named = os.environ.get("CXX")
    return next((found for name in ([named] if named else COMPILERS) if (found := shutil.which(name))), None)


def has_compiler() -> bool:
    """Say whether a model can be compiled on this machine."""
    return find_compiler() is not None


def require_compiler(engine: str) -> str:
    """Return the compiler, or raise `SetupError` with what to do."""
    found = find_compiler()
    if found is None:
        raise SetupError(
            f"engine `{engine}` needs a C++ compiler (g++ or clang++) and none was found; "
            "install one, or choose engine: openvino."
        )
    return found


@contextlib.contextmanager
def inductor_cache() -> Iterator[None]:
    """
    Let torch keep what it compiles in perflib's own cache, so that a second process compiles less.

    torch pickles parts of it itself. It is this user's own cache, made on this machine; no artifact contains any of it.
    """
    name = "TORCHINDUCTOR_CACHE_DIR"
    before = os.environ.get(name)
    os.environ[name] = str(project.cache_dir() / "inductor")
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def describe_inputs(inputs: Encoded, *, dtype: torch.dtype, longest_tokens_count: int | None) -> dict[str, Any]:
    """
    Return the engine options that say what a call may be given.

    Args:
        inputs: Any encoded examples; names, types and fixed axes are theirs.
        dtype: Of floating inputs, the model's.
        longest_tokens_count: The most tokens that the architecture has positions for; None where it has no limit.

    Returns:
        ``inputs``, a list in the order of the call, and ``longest_tokens_count``. A free axis is named by a word.
    """
    described = []
    for name, array in inputs.arrays.items():
        is_float = np.issubdtype(array.dtype, np.floating)
        has_length = MASK in inputs.arrays and array.ndim == 2
        shape = [BATCH, LENGTH] if has_length else [BATCH, *array.shape[1:]]
        kind = str(dtype if is_float else torch.from_numpy(array[:0]).dtype).removeprefix("torch.")
        described.append({"name": name, "dtype": kind, "shape": shape})
    return {"inputs": described, "longest_tokens_count": longest_tokens_count}


def example_inputs(options: Mapping[str, Any], *, batch: int, length: int, device: str = "cpu") -> list[torch.Tensor]:
    """Return tensors of a shape that a call may have: ones for masks, zeros for the rest."""
    sizes = {BATCH: batch, LENGTH: min(length, options["longest_tokens_count"] or length)}
    tensors = []
    for one in options["inputs"]:
        fill = torch.ones if one["name"] == MASK else torch.zeros
        shape = [sizes.get(axis, axis) for axis in one["shape"]]
        tensors.append(fill(shape, dtype=getattr(torch, one["dtype"]), device=device))
    return tensors


def fit(
    arrays: Mapping[str, NDArray[np.generic]], options: Mapping[str, Any], *, device: str = "cpu"
) -> list[torch.Tensor]:
    """
    Return a call's inputs as tensors, in order, in the types that were compiled for.

    Raises:
        DataError: If an input is missing, of another kind or shape, longer than was compiled for, or a batch is empty.
    """
    names = [one["name"] for one in options["inputs"]]
    if set(arrays) != set(names):
        raise DataError(f"the model was compiled for inputs {names}, but the call has {sorted(arrays)}; encode again.")
    sizes: dict[str, int] = {}
    tensors = []
    for one in options["inputs"]:
        array, wanted = arrays[one["name"]], getattr(torch, one["dtype"])
        if not _has_shape(array.shape, one["shape"], sizes):
            raise DataError(
                f"input `{one['name']}` has shape {array.shape} where the model was compiled for {one['shape']} "
                f"{f'with {sizes} ' if sizes else ''}and batches from 1 on; encode the inputs again."
            )
        if np.issubdtype(array.dtype, np.floating) != wanted.is_floating_point:
            raise DataError(
                f"input `{one['name']}` is {array.dtype} where the model was compiled for {one['dtype']}; encode again."
            )
        tensors.append(torch.from_numpy(np.ascontiguousarray(array)).to(device=device, dtype=wanted))
    longest = options["longest_tokens_count"]
    if longest and sizes.get(LENGTH, 0) > longest:
        raise DataError(
            f"a batch is {sizes[LENGTH]} tokens wide where the model was compiled for {longest} at most; "
            "shorten the texts."
        )
    return tensors


def export(module: torch.nn.Module, options: Mapping[str, Any]) -> torch.export.ExportedProgram:
    """
    Export a module with a free batch, from 1 on, and a free length, from 1 to the longest.

    Raises:
        StageError: If an operator has no export, or the model only works for some sizes.
    """
    batch = torch.export.Dim(BATCH, min=1)
    length = torch.export.Dim(LENGTH, min=1, max=options["longest_tokens_count"])
    axes = {BATCH: batch, LENGTH: length}
    names = [one["name"] for one in options["inputs"]]
    free = {
        one["name"]: {place: axes[axis] for place, axis in enumerate(one["shape"]) if isinstance(axis, str)}
        for one in options["inputs"]
    }
    example = dict(zip(names, example_inputs(options, batch=EXAMPLE_BATCH, length=EXAMPLE_LENGTH), strict=True))
    try:
        with torch.no_grad():
            return torch.export.export(module, (), example, dynamic_shapes=free, strict=False)
    except (RuntimeError, ValueError, TypeError) as error:
        raise StageError(
            f"torch cannot export this model with a free batch and length ({_first_line(error)}); use another engine."
        ) from error


def compile_package(program: torch.export.ExportedProgram, folder: Path, *, is_frozen: bool = True) -> Path:
    """
    Compile an exported program to `model.pt2`.

    Args:
        program: From `export`.
        folder: Where the package goes; made if needed.
        is_frozen: Weights are folded and packed; without it, int8 weights stay int8 and are widened in every call.

    Raises:
        SetupError: If there is no C++ compiler.
        StageError: If the compilation fails.
    """
    compiler = require_compiler("aotinductor")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PACKAGE_FILE
    settings = SETTINGS | {"freezing": is_frozen, "cpp.cxx": (None, compiler)}
    try:
        with inductor_cache(), torch.no_grad():
            torch._inductor.aoti_compile_and_package(program, package_path=str(path), inductor_configs=settings)
    except RuntimeError as error:
        raise StageError(
            f"AOTInductor cannot compile this model ({_first_line(error)}); use another engine."
        ) from error
    return path


def build_options() -> dict[str, Any]:
    """Return what a package must find again where it runs: the same torch, and the processor's instructions."""
    return {"torch": torch.__version__, "isa_flags": list(machine.read_card().isa_flags)}


def open_session(folder: Path, spec: ArtifactSpec) -> Session:
    """
    Load the package and return a blocking call.

    Raises:
        DataError: If the package holds anything but compiled code.
        SetupError: If it was built for another torch or processor.
    """
    _check_machine(spec.options)
    path = folder / PACKAGE_FILE
    check_package(path)
    runner = torch._inductor.aoti_load_package(str(path)).loader
    _loaded.append(runner)
    options = spec.options
    thread_count = spec.runtime.thread_count or machine.thread_count()
    torch.set_num_threads(thread_count)

    def call(arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
        # A new thread begins with all cores, and another artifact may have asked for another number.
        if torch.get_num_threads() != thread_count:
            torch.set_num_threads(thread_count)
        (logits,) = runner.boxed_run(fit(arrays, options))
        return logits.float().numpy()

    return call


def open_sessions(folder: Path, spec: ArtifactSpec) -> list[Session]:
    """
    Load the package once, however many replicas are asked for.

    Its calls hold the interpreter's lock to their end, so a second replica would only wait for the first; and a thread
    that is started meanwhile waits as well.
    """
    return [open_session(folder, spec)]


def check_package(path: Path) -> None:
    """Refuse an archive with anything but compiled code: torch would unpickle programs, weights and objects."""
    try:
        with zipfile.ZipFile(path) as archive:
            strange = [name for name in archive.namelist() if not _INSIDE.fullmatch(name)]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is no package of compiled code ({error}); build it again.") from error
    if strange:
        raise DataError(f"{path} holds {strange[0]}, which is no compiled code and is not loaded; build it again.")


def read_source(path: Path) -> str:
    """Return the generated C++ of a package that calls the kernels."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".wrapper.cpp")]
        return "\n".join(archive.read(name).decode() for name in names)


def int8_product_count(source: str) -> int:
    """Count the calls of integer products in generated C++."""
    return len(_INT8_PRODUCT.findall(source))


def int8_matrix_count(source: str) -> int:
    """Count the matrices among a package's constants that are stored in int8."""
    kinds = dict(_CONSTANT.findall(source))
    shapes = {number: shape.split(",") for number, shape in _CONSTANT_SHAPE.findall(source)}
    return sum(kind == "int8" and len(shapes.get(number, ())) == 2 for number, kind in kinds.items())


def _has_shape(found: tuple[int, ...], wanted: list[Any], sizes: dict[str, int]) -> bool:
    """Compare axis by axis; a named axis must have one size, from 1 on, in all inputs of a call."""
    return len(found) == len(wanted) and all(
        size == axis if isinstance(axis, int) else size >= 1 and sizes.setdefault(axis, size) == size
        for size, axis in zip(found, wanted, strict=True)
    )


def _check_machine(options: Mapping[str, Any]) -> None:
    if options["torch"] != torch.__version__:
        raise SetupError(
            f"the package was compiled by torch {options['torch']} and torch {torch.__version__} is installed; "
            "build it again."
        )
    missing = sorted(set(options["isa_flags"]) - set(machine.read_card().isa_flags))
    if missing:
        raise SetupError(
            f"the package was compiled for a processor with {', '.join(missing)}, which this one has not; "
            "build it again here."
        )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
