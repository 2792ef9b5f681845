"""Profiling a real model: the record agrees with the trace and with arithmetic, and says what watching cost."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from perflib.artifact import Artifact, Runtime
from perflib.errors import ParameterError, SetupError
from perflib.profiling import profile_artifact
from perflib.profiling.modules import annotated
from perflib.profiling.sampling import make_step
from perflib.profiling.torch_profiler import profile_in_torch
from perflib.profiling.trace import read_trace
from perflib.results import OperatorTime, Profile
from tests.tiny_artifact import LINEARS_COUNT, make_inputs, write_artifact

STEPS_COUNT = 2
# Ten texts of 1 … 8, 1, 2 tokens in batches of four: each as wide as its longest.
TOKENS_COUNT, REAL_COUNT = 4 * 4 + 4 * 8 + 2 * 2, 39


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A tiny model."""
    return write_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def profiled(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """A profile of the tiny model."""
    return profile_artifact(
        artifact,
        make_inputs(10),
        name="baseline",
        scenario="offline",
        folder=tmp_path_factory.mktemp("traces"),
        active_step_count=STEPS_COUNT,
    )


def _operator(profile: Profile, name: str) -> OperatorTime:
    return next(operator for operator in profile.operators if operator.operator == name)


def _trace(profile: Profile) -> Path:
    return Path(profile.trace_folder) / profile.trace_files[0]


def test_a_profile_names_what_was_profiled(artifact: Artifact, profiled: Profile) -> None:
    """Who, in which engine, on how many examples and tokens; and it survives being written."""
    assert profiled.artifact_sha256 == artifact.digest
    assert (profiled.scenario, profiled.engine, profiled.precision, profiled.source) == (
        "offline",
        "torch",
        "fp32",
        "torch.profiler",
    )
    assert (profiled.step_example_count, profiled.calls_per_step_count, profiled.thread_count) == (10, 3, 1)
    assert (profiled.step_token_count, profiled.real_token_count) == (TOKENS_COUNT, REAL_COUNT)
    assert profiled.padding_ratio == pytest.approx(1 - REAL_COUNT / TOKENS_COUNT)
    assert Profile.from_dict(profiled.to_dict()) == profiled


def test_counts_and_flops_are_those_of_all_active_steps(profiled: Profile) -> None:
    """Every linear layer is one addmm a call, with two FLOPs per weight and row."""
    addmm = _operator(profiled, "aten::addmm")
    per_step = 2 * (2 * TOKENS_COUNT * (4 * 16 * 16 + 2 * 16 * 32) + 10 * 16 * 3)

    assert addmm.call_count == LINEARS_COUNT * 3 * STEPS_COUNT
    assert addmm.flop_count == per_step * STEPS_COUNT
    assert sum(one.flop_count for one in profiled.shapes if one.operator == "aten::addmm") == addmm.flop_count
    assert _operator(profiled, "aten::linear").total_sec > _operator(profiled, "aten::linear").self_sec


def test_all_of_the_time_is_attributed(profiled: Profile) -> None:
    """Kinds are the whole of the wall time, and hardly any of it is nobody's."""
    assert sum(one.share_ratio for one in profiled.kinds) == pytest.approx(1)
    assert profiled.share_ratio("unattributed") <= 0.05
    assert profiled.share_ratio("framework") > 0
    assert profiled.share_ratio("matrix") > 0


def test_operators_are_ranked_by_self_time_and_shares_sum_to_one(profiled: Profile) -> None:
    """Nothing is cut off and nothing is counted twice; steps and ranges of ours are no operators."""
    times = [operator.self_sec for operator in profiled.operators]

    assert times == sorted(times, reverse=True)
    assert sum(operator.self_share_ratio for operator in profiled.operators) == pytest.approx(1.0)
    assert len({operator.operator for operator in profiled.operators}) == len(profiled.operators)
    assert not [one for one in profiled.operators if one.operator.startswith(("ProfilerStep", "module:", "call"))]


def test_every_module_of_the_model_has_its_time(artifact: Artifact, profiled: Profile) -> None:
    """A module is called once a call, and the whole model takes longer than any of its parts."""
    modules = {one.module: one for one in profiled.modules}

    assert modules["encoder.layer.1.intermediate.dense"].call_count == 3 * STEPS_COUNT
    assert max(modules.values(), key=lambda one: one.total_sec).module == "model"


def test_memory_rises_and_falls_within_the_steps(profiled: Profile) -> None:
    """The peak is on the curve, and the curve lies within the steps."""
    assert profiled.peak_allocated_bytes == max(point.allocated_bytes for point in profiled.memory)
    assert all(point.at_sec >= 0 for point in profiled.memory)


def test_the_trace_holds_the_active_steps_only(profiled: Profile) -> None:
    """Unwatched steps and warm-up leave no mark; the name is what TensorBoard looks for."""
    assert len(read_trace(_trace(profiled)).steps) == STEPS_COUNT
    assert profiled.trace_files[0].startswith("baseline.")
    assert profiled.trace_files[0].endswith(".pt.trace.json.gz")


def _profile(artifact: Artifact, folder: Path, **options: Any) -> Profile:
    step = make_step(make_inputs(), artifact.spec.runtime, "single", example_count=3)
    return profile_in_torch(artifact, step, name="x", folder=folder, **options)


def test_watching_is_never_part_of_the_unwatched_time(artifact: Artifact, tmp_path: Path) -> None:
    """Two steps unwatched, one of warm-up, two watched: the clock ticks twice a step, slower when watched."""
    ticks = iter([0, 1, 1, 2, 2, 9, 10, 14, 20, 22])
    found = _profile(artifact, tmp_path, active_step_count=2, clock=lambda: float(next(ticks)))

    assert (found.unwatched_sec, found.wall_sec) == (2.0, 6.0)
    assert found.overhead_ratio == 2.0


def test_a_step_of_single_calls_has_no_padding(artifact: Artifact, tmp_path: Path) -> None:
    """Every text has a call of its own."""
    found = _profile(artifact, tmp_path)

    assert (found.scenario, found.calls_per_step_count, found.padding_ratio) == ("single", 3, 0)


def test_a_step_is_served_as_the_runtime_says() -> None:
    """Sorted batches have less padding than those as they come."""
    inputs = make_inputs(16)
    as_they_come = make_step(inputs, Runtime(batch_example_count=4), "offline")
    by_length = make_step(inputs, Runtime(batching="sorted", batch_example_count=4), "offline")

    assert [len(call) for call in by_length.calls] == [4, 4, 4, 4]
    assert by_length.real_token_count == as_they_come.real_token_count == int(inputs.lengths().sum())
    assert by_length.token_count == 4 * (2 + 4 + 6 + 8)
    assert as_they_come.token_count == 2 * (4 * 4 + 4 * 8)
    assert make_step(inputs, Runtime(), "offline", example_count=5).example_count == 5


def test_a_trace_that_is_too_large_is_taken_again_with_fewer_steps(artifact: Artifact, tmp_path: Path) -> None:
    """Half of the steps at a time; where one step is too large, the record stays without a trace."""
    whole = _profile(artifact, tmp_path / "whole", active_step_count=4)
    size_bytes = _trace(whole).stat().st_size
    fewer = _profile(artifact, tmp_path / "fewer", active_step_count=4, max_trace_bytes=round(0.75 * size_bytes))
    none = _profile(artifact, tmp_path / "none", active_step_count=4, max_trace_bytes=10)

    assert fewer.active_step_count == 2
    assert _trace(fewer).stat().st_size <= 0.75 * size_bytes
    assert (none.active_step_count, none.trace_files) == (1, ())
    assert none.operators
    assert len(list((tmp_path / "fewer").iterdir())) == 1
    assert list((tmp_path / "none").iterdir()) == []


def test_stacks_are_written_where_they_are_asked_for(artifact: Artifact, tmp_path: Path) -> None:
    """Python's calls are in the trace and take nothing away from operators."""
    found = _profile(artifact, tmp_path, has_stacks=True, active_step_count=1)

    assert (read_trace(_trace(found)).spans["category"] == "python_function").any()
    assert found.share_ratio("matrix") > 0


def test_threads_are_given_back(artifact: Artifact, tmp_path: Path) -> None:
    """A profile in a notebook does not change the threads of what comes after it."""
    before = torch.get_num_threads()
    _profile(artifact, tmp_path, active_step_count=1)

    assert torch.get_num_threads() == before


def test_ranges_are_closed_when_a_model_fails(tmp_path: Path) -> None:
    """A failing forward leaves its range, so that the next call's ranges nest as before; afterwards no hook is left."""
    broken = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(4, 5))
    whole = torch.nn.Sequential(torch.nn.Linear(2, 3))
    with torch.profiler.profile() as profiler, annotated(name="top"):
        with pytest.raises(RuntimeError):
            broken(torch.rand(1, 2))
        whole(torch.rand(1, 2))
    ranges = [event.name for event in profiler.events() if event.name.startswith("module:")]
    with torch.profiler.profile() as after:
        whole(torch.rand(1, 2))

    assert sorted(ranges) == ["module:0", "module:0", "module:1", "module:top", "module:top"]
    assert not [event for event in after.events() if event.name.startswith("module:")]


def test_an_engine_that_torch_cannot_see_is_refused(tmp_path: Path) -> None:
    """The sentence says what to profile instead."""
    blind: Any = SimpleNamespace(folder=tmp_path, spec=SimpleNamespace(engine="openvino", runtime=Runtime()))
    step = make_step(make_inputs(), Runtime(), "single")

    with pytest.raises(ParameterError, match=r"runs in `openvino`, which torch\.profiler cannot see"):
        profile_in_torch(blind, step, name="int8", folder=tmp_path)


def test_an_artifact_without_a_form_that_can_be_profiled_is_refused(tmp_path: Path) -> None:
    """Neither in PyTorch nor with counters of its own."""
    strange: Any = SimpleNamespace(folder=tmp_path, spec=SimpleNamespace(engine="strange", runtime=Runtime()))

    with pytest.raises(ParameterError, match=r"runs in `strange`, which gives no counters; profile the torch artifact"):
        profile_artifact(strange, make_inputs(), name="x", scenario="single", folder=tmp_path)


@pytest.mark.parametrize("word", ["warmup_step_count", "active_step_count"])
def test_counts_below_one_are_refused(artifact: Artifact, tmp_path: Path, word: str) -> None:
    """The sentence names the argument."""
    with pytest.raises(ParameterError, match=f"`{word}` is 0"):
        _profile(artifact, tmp_path, **{word: 0})


def test_a_folder_that_cannot_be_written_is_a_setup_error(artifact: Artifact, tmp_path: Path) -> None:
    """It is said before any step is run."""
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(SetupError, match="trace folder"):
        _profile(artifact, tmp_path / "file" / "traces")


def test_a_device_that_is_not_there_is_a_setup_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An artifact that is served on CUDA is not profiled on the CPU instead."""
    monkeypatch.setattr("perflib.machine.has_cuda", lambda: False)
    served = write_artifact(tmp_path / "artifact", runtime=Runtime(device="cuda"))

    with pytest.raises(SetupError, match="no CUDA device"):
        _profile(served, tmp_path / "traces")


def test_a_name_that_is_no_file_name_is_made_one(artifact: Artifact, tmp_path: Path) -> None:
    """Dots and slashes would change how TensorBoard reads the name."""
    step = make_step(make_inputs(), artifact.spec.runtime, "single", example_count=1)
    found = profile_in_torch(artifact, step, name="a/b 1.5", folder=tmp_path, active_step_count=1)

    assert found.trace_files[0].startswith("a-b-1-5.")
    assert json.loads(json.dumps(dataclasses.asdict(found)))["name"] == "a/b 1.5"
