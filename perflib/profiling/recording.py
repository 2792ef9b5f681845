"""
Running a program under a profiler that is not ours: is it there, which version, and did it work.

    recording = record(nsys_command(program, folder / "nsys"), folder / "nsys.sqlite")
    recording.version

The profilers come with a driver, a toolkit or a kernel and never with pip. Where one is missing, the error carries the
whole command line, for a machine that has it.
"""

import dataclasses
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from perflib.errors import MeasurementError, SetupError

Run = Callable[..., "subprocess.CompletedProcess[str]"]

# What has to be installed to get a tool.
_PACKAGES = {
    "nsys": "NVIDIA Nsight Systems",
    "ncu": "NVIDIA Nsight Compute",
    "perf": "the `linux-perf` package of your distribution",
}
# What the tools say where the user may not read counters, and who can change that.
_FORBIDDEN = {
    "ERR_NVGPUCTRPERM": "the driver lets only administrators read the GPU's counters (ERR_NVGPUCTRPERM); run it as "
    "root, or have the driver's option NVreg_RestrictProfilingToAdminUsers set to 0.",
    "perf_event_paranoid": "the kernel does not let this user count events; run it as root, or have "
    "kernel.perf_event_paranoid lowered to 2.",
    "No permission to enable": "the kernel does not let this user count events; run it as root, or have "
    "kernel.perf_event_paranoid lowered to 2.",
}
_LAST_WORDS_LENGTH = 300


@dataclasses.dataclass(frozen=True)
class Recording:
    """What a profiler was asked, in which version, where its answer lies, and what was printed on standard error."""

    tool: str
    version: str
    command: tuple[str, ...]
    output: Path
    standard_error: str

    @property
    def line(self) -> str:
        """The tool, its version and the command, to print."""
        return f"{self.tool} {self.version}: {shlex.join(self.command)}"


def require_tool(name: str, command: Sequence[str] = ()) -> str:
    """
    Return the path of a profiler.

    Args:
        name: ``nsys``, ``ncu`` or ``perf``.
        command: What was to be run; the error shows it.

    Raises:
        SetupError: If it is not on PATH.
    """
    found = shutil.which(name)
    if found is None:
        elsewhere = f" that has it: `{shlex.join(command)}`." if command else " that has it."
        raise SetupError(
            f"`{name}` is not on PATH; install {_PACKAGES.get(name, 'it')}, or run this on a machine{elsewhere}"
        )
    return found


def tool_version(name: str, *, run: Run = subprocess.run) -> str:
    """Return the version that a profiler says it has, ``unknown`` where it does not say."""
    answer = run([name, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+\S*", answer.stdout)
    return found[0] if found else "unknown"


def record(command: Sequence[str], output: Path, *, run: Run = subprocess.run) -> Recording:
    """
    Run a program under a profiler; what it prints on standard output is not kept.

    Args:
        command: Begins with the name of the profiler.
        output: The file that the profiler leaves; its folder is made.
        run: What stands for `subprocess.run` in tests.

    Raises:
        SetupError: If the profiler is not on PATH, the folder cannot be made, or this user may not read the counters.
        MeasurementError: If the profiler or the program failed, or left no file.
    """
    tool = command[0]
    require_tool(tool, command)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        # An older file would be taken for the answer.
        output.unlink(missing_ok=True)
    except OSError as error:
        raise SetupError(f"{output} cannot be written ({error.strerror}); choose another folder.") from error
    version = tool_version(tool, run=run)
    # In other languages numbers have commas, and what is searched for below reads differently.
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = run(list(command), capture_output=True, text=True, errors="replace", check=False, env=environment)
    _check(tool, done, output)
    return Recording(tool, version, tuple(command), output, done.stderr)


def _check(tool: str, done: "subprocess.CompletedProcess[str]", output: Path) -> None:
    said = f"{done.stderr}\n{_written_words(output)}" if done.returncode else done.stderr
    if done.returncode or not output.is_file():
        for word, sentence in _FORBIDDEN.items():
            if word in said:
                raise SetupError(sentence)
    if done.returncode:
        raise MeasurementError(
            f"`{tool}` ended with exit status {done.returncode}{_last_words(said)}; "
            "run the program without the profiler to see whether it works alone."
        )
    if not output.is_file():
        raise MeasurementError(
            f"`{tool}` ended well and left no {output.name} in {output.parent}{_last_words(said)}; run it again."
        )


def _written_words(output: Path) -> str:
    """Return what `ncu` wrote into its log instead of standard error."""
    try:
        return output.read_text(encoding="utf-8", errors="replace") if output.suffix == ".csv" else ""
    except OSError:
        return ""


def _last_words(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f', and its last words were "{lines[-1][:_LAST_WORDS_LENGTH]}"' if lines else ""
