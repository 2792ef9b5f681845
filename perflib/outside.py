r"""
`perflib profile --with`: profilers from outside (nsys, ncu, perf) over the steps of an artifact.

They watch a whole process, so one is started for them that does nothing but the steps, under named ranges:

    print("\n".join(profile_outside_named("outputs/RUN:int8", "perf")))
"""

import sys
from pathlib import Path

from perflib import project, sentences
from perflib.comparing import find_artifact
from perflib.diagnosing import SCENARIOS, run_of
from perflib.nvtx import named_range, range_name
from perflib.profiling.nsight import nsight_python_sentence
from perflib.profiling.nsys_export import read_nsys
from perflib.profiling.nsys_profile import profile_of_export
from perflib.profiling.outside import profile_outside
from perflib.profiling.sampling import make_step
from perflib.runs import Run
from perflib.workloads import get_workload


def steps_only(word: str) -> None:
    """Run the steps of a profile without any profiler of ours, for one from outside that watches this process."""
    artifact = find_artifact(word)
    workload = get_workload(artifact.spec.lineage.workload)
    workload.prepare()
    inputs = workload.encode(workload.splits().test.inputs)
    session = artifact.open()
    for scenario in SCENARIOS:
        calls = make_step(inputs, artifact.spec.runtime, scenario).calls
        for call in calls:
            session(call.arrays)  # the warm-up, outside of the range
        with named_range(range_name(scenario)):
            for call in calls:
                session(call.arrays)


def profile_outside_named(word: str, tool: str) -> list[str]:
    """
    Let a profiler from outside watch the steps of an artifact, and keep its files in the artifact's run.

    What nsys saw is kept as profiles too, beside those of the same artifact that are there already.

    Args:
        word: ``RUN:name``, or an artifact's folder.
        tool: ``nsys``, ``ncu`` or ``perf``.

    Raises:
        ParameterError: If there is no such artifact or tool.
        SetupError: If the tool is not on PATH; the sentence holds the command line for a machine that has it.
    """
    artifact = find_artifact(word)
    name = artifact.folder.name
    run = run_of(artifact) or Run(project.new_run_dir("profile"))
    folder = run.folder / "traces" / tool / name
    program = [sys.executable, "-m", "perflib", "profile", str(artifact.folder), "--steps-only"]
    lines = profile_outside(tool, program, folder)
    if tool == "nsys":
        lines += _keep_nsys_profiles(run, name, folder / "nsys.sqlite")
    return [*lines, nsight_python_sentence()] if tool == "ncu" else lines


def _keep_nsys_profiles(run: Run, name: str, export_path: Path) -> list[str]:
    export, lines = read_nsys(export_path), []
    for scenario in SCENARIOS:
        like = run.profile(name, scenario=scenario)
        if like is not None:
            found = profile_of_export(export, like=like, path=export_path)
            run.write(found, f"{name}-{scenario}-nsys")
            lines.append(f"{scenario}: {sentences.kinds_sentence(found)}")
    return lines or [
        f"there is no profile of {name} in {run.folder} yet; `perflib profile` makes one to put it beside."
    ]
