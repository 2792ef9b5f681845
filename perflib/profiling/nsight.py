"""
NVIDIA's profilers: the exact command lines that watch a program.

`nsys` says when kernels ran and under which range of ours, `ncu` how near each kernel came to the hardware's limits.

    program = [sys.executable, "-m", "perflib", "profile", "RUN:int8", "--steps-only"]
    record(nsys_command(program, folder / "nsys"), folder / "nsys.sqlite")
    record(ncu_command(program, folder / "ncu.csv"), folder / "ncu.csv")

`nsight-python`, which collects counters without a command line, is a door that nobody has gone through: perflib says
whether it is there and needs it for nothing.
"""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

from perflib.errors import ParameterError
from perflib.nvtx import RANGE_PREFIX
from perflib.profiling.ncu_pages import METRICS

DEFAULT_KERNEL_COUNT = 50


def nsys_command(program: Sequence[str], output: Path) -> tuple[str, ...]:
    """
    Return the command that records kernels and ranges of a program and exports them as SQLite.

    Args:
        program: What is watched.
        output: Without a suffix; nsys adds ``.nsys-rep`` to one file and ``.sqlite`` to the other.
    """
    return (
        *("nsys", "profile", "--trace=cuda,nvtx", "--sample=none", "--cpuctxsw=none"),
        # By default a CUDA graph is one event, and its kernels are not in the export.
        "--cuda-graph-trace=node",
        *("--force-overwrite=true", "--export=sqlite", f"--output={_literal(output)}", *program),
    )


def ncu_command(program: Sequence[str], output: Path, *, kernel_count: int = DEFAULT_KERNEL_COUNT) -> tuple[str, ...]:
    """
    Return the command that measures the first kernels inside our ranges, as the raw page in CSV.

    ncu runs every kernel several times and alone, so that its durations are those of kernels and not of a program.

    Args:
        program: What is watched.
        output: The CSV file.
        kernel_count: How many launches are measured.

    Raises:
        ParameterError: If ``kernel_count`` is below 1.
    """
    if kernel_count < 1:
        raise ParameterError(f"`kernel_count` is {kernel_count} and at least one kernel has to be measured; raise it.")
    return (
        *("ncu", "--target-processes", "all", "--nvtx", "--nvtx-include", f"regex:{RANGE_PREFIX}.+/"),
        *("--launch-count", str(kernel_count), "--metrics", ",".join(METRICS)),
        *("--page", "raw", "--csv", "--print-units", "base", "--log-file", _literal(output), *program),
    )


def nsight_python_sentence(*, find_spec: Callable[[str], object] = importlib.util.find_spec) -> str:
    """Say whether `nsight-python` is installed, and what perflib does with it."""
    if find_spec("nsight") is None:
        return (
            "`nsight-python` is not installed and not needed; `nsys` and `ncu` on PATH are what perflib runs. "
            "On a machine with a GPU, `pip install nsight-python[cupti]` adds counters without a command line."
        )
    return (
        "`nsight-python` is installed; perflib does not run it, so decorate a call of your own with "
        "`nsight.analyze.kernel` and read its table beside the profile."
    )


def _literal(output: Path) -> str:
    """Both tools replace ``%h``, ``%p`` and others in names of files."""
    return str(output).replace("%", "%%")
