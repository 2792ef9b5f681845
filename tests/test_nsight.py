"""Nsight: command lines, runs that work and that do not, and readers against exports whose right answer is known."""

import dataclasses
import math
import random
import shlex
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from perflib.errors import DataError, MeasurementError, ParameterError, SetupError
from perflib.profiling import nsys_export
from perflib.profiling.ncu_pages import read_ncu
from perflib.profiling.nsight import ncu_command, nsight_python_sentence, nsys_command
from perflib.profiling.nsys_export import read_nsys
from perflib.profiling.nsys_profile import gaps, kernel_kind, merged, profile_of_export, shared_sec
from perflib.profiling.outside import profile_outside
from perflib.profiling.recording import record, require_tool, tool_version
from perflib.results.profile import KINDS, Profile
from tests.nsight_exports import write_export

PAGES = Path(__file__).parent / "fixtures" / "nsight"
PROGRAM = ["python", "-m", "perflib", "profile", "RUN:int8", "--steps-only"]
GEMM = "ampere_sgemm_128x64_tn"
GELU = "void at::native::vectorized_elementwise_kernel<4, at::native::GeluCUDAKernelImpl(at::TensorIteratorBase&)>(int)"


def known_profile(**changes: Any) -> Profile:
    """Return what torch.profiler would have said of the same batch."""
    return dataclasses.replace(
        Profile(
            name="baseline",
            scenario="offline",
            artifact_sha256="ab" * 32,
            engine="torch",
            precision="fp32",
            device="cuda",
            source="torch.profiler",
            thread_count=2,
            calls_per_step_count=1,
            step_example_count=8,
            step_token_count=512,
            real_token_count=400,
            active_step_count=4,
            wall_sec=1.0,
            unwatched_sec=0.8,
            operators=(),
            shapes=(),
            modules=(),
            kinds=(),
            memory=(),
            peak_allocated_bytes=7,
            trace_folder="traces",
            trace_files=("a.json.gz",),
        ),
        **changes,
    )


def two_steps(path: Path, **changes: Any) -> Path:
    """Write two steps of 100 ns: kernels overlap in the first, launches and a wait lie in gaps of the second."""
    return write_export(
        path,
        **{
            "ranges": [("perflib:offline", 0, 100), ("perflib:offline", 200, 300), ("perflib:single", 400, 500)],
            "kernels": [(GEMM, 10, 50), (GELU, 40, 60), (GEMM, 240, 260), (GEMM, 410, 420)],
            "copies": [(60, 80, 1, 4096)],
            "fills": [(150, 160, 64)],
            "calls": [
                ("cudaLaunchKernel_v7000", 0, 8),
                ("cudaLaunchKernel_v7000", 210, 245),
                ("cudaStreamSynchronize_v3020", 245, 300),
            ],
            **changes,
        },
    )


class FakeRun:
    """Stands for `subprocess.run`: keeps what it was asked, writes what a profiler would leave."""

    def __init__(
        self,
        *,
        returncode: int = 0,
        stderr: str = "",
        stdout: str = "",
        version: str = "NVIDIA Nsight Systems version 2026.1.1.204-261136 (build 1)",
        leave: Callable[[], object] = lambda: None,
    ) -> None:
        self.asked: list[list[str]] = []
        self.environments: list[dict[str, str]] = []
        self._answer, self._version, self._leave = (returncode, stdout, stderr), version, leave

    def __call__(self, command: Sequence[str], **options: Any) -> "subprocess.CompletedProcess[str]":
        """Answer for the profiler."""
        self.asked.append(list(command))
        if command[1:] == ["--version"]:
            return subprocess.CompletedProcess(command, 0, self._version, "")
        self.environments.append(options["env"])
        self._leave()
        return subprocess.CompletedProcess(command, *self._answer)


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put every profiler on PATH."""
    monkeypatch.setattr("perflib.profiling.recording.shutil.which", lambda name: f"/opt/bin/{name}")


@pytest.fixture
def no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every profiler from PATH."""
    monkeypatch.setattr("perflib.profiling.recording.shutil.which", lambda name: None)


# --- command lines ----------------------------------------------------------------------------------------------


def test_the_command_for_nsys_is_exact() -> None:
    """Kernels of graphs one by one, no sampling of the host, and SQLite beside the report."""
    assert shlex.join(nsys_command(PROGRAM, Path("out/nsys"))) == (
        "nsys profile --trace=cuda,nvtx --sample=none --cpuctxsw=none --cuda-graph-trace=node --force-overwrite=true "
        "--export=sqlite --output=out/nsys python -m perflib profile RUN:int8 --steps-only"
    )


def test_the_command_for_ncu_is_exact() -> None:
    """Only kernels in our ranges, the metrics that the reader knows, base units, and a file of its own."""
    command = ncu_command(PROGRAM, Path("out/50%.csv"), kernel_count=7)

    assert command[: command.index("--metrics")] == (
        *("ncu", "--target-processes", "all", "--nvtx", "--nvtx-include", "regex:perflib:.+/", "--launch-count", "7"),
    )
    metrics = command[command.index("--metrics") + 1].split(",")
    assert {"gpu__time_duration.sum", "dram__bytes.sum"} < set(metrics)
    assert command[command.index("--page") :] == (
        *("--page", "raw", "--csv", "--print-units", "base", "--log-file", "out/50%%.csv", *PROGRAM),
    )


def test_ncu_has_to_measure_a_kernel() -> None:
    """One is enough, none is refused."""
    assert "1" in ncu_command(PROGRAM, Path("a.csv"), kernel_count=1)
    with pytest.raises(ParameterError, match="`kernel_count` is 0"):
        ncu_command(PROGRAM, Path("a.csv"), kernel_count=0)


def test_the_door_to_nsight_python_says_whether_it_is_there() -> None:
    """It is looked for and never imported."""
    assert "is installed" in nsight_python_sentence(find_spec=lambda name: name)
    assert "not installed and not needed" in nsight_python_sentence(find_spec=lambda name: None)


# --- runs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["nsys", "ncu", "perf"])
def test_a_tool_that_is_missing_is_named_with_the_command_for_elsewhere(
    tool: Any, no_tools: None, tmp_path: Path
) -> None:
    """The reader can copy the line to a machine that has it."""
    with pytest.raises(SetupError, match=rf"`{tool}` is not on PATH; install .*: `{tool} .*--steps-only`\.$"):
        profile_outside(tool, PROGRAM, tmp_path)


def test_an_unknown_tool_is_refused(tmp_path: Path) -> None:
    """With the nearest known one."""
    with pytest.raises(ParameterError, match=r"`nsy` is no profiler .* did you mean `nsys`\?"):
        profile_outside("nsy", PROGRAM, tmp_path)


def test_a_tool_without_a_command_is_only_named(no_tools: None) -> None:
    """There is nothing to copy."""
    with pytest.raises(SetupError, match=r"or run this on a machine that has it\.$"):
        require_tool("nsys")


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("NVIDIA Nsight Systems version 2026.1.1.204-261136\n", "2026.1.1.204-261136"),
        (
            "NVIDIA (R) Nsight Compute Command Line Profiler\nCopyright (c) 2018-2025 NVIDIA\nVersion 2025.2.1.0 (b)\n",
            "2025.2.1.0",
        ),
        ("perf version 6.1.187\n", "6.1.187"),
        ("", "unknown"),
    ],
)
def test_versions_are_read_from_what_the_tools_say(said: str, version: str) -> None:
    """Years of a copyright are no version."""
    assert tool_version("x", run=FakeRun(version=said)) == version


def test_a_recording_says_what_was_run(tools: None, tmp_path: Path) -> None:
    """Version, command and the file; an older file is not taken for the answer, and numbers have points."""
    output = tmp_path / "new" / "nsys.sqlite"
    run = FakeRun(leave=lambda: output.write_text("new"))

    made = record(["nsys", "profile", "my program"], output, run=run)

    assert made.line == "nsys 2026.1.1.204-261136: nsys profile 'my program'"
    assert (made.output, output.read_text()) == (output, "new")
    assert run.environments[0]["LC_ALL"] == "C.UTF-8"
    assert "PATH" in run.environments[0]


def test_an_old_file_is_not_the_answer(tools: None, tmp_path: Path) -> None:
    """A profiler that leaves nothing is found out, though it ended well."""
    (tmp_path / "a.sqlite").write_text("old")

    with pytest.raises(MeasurementError, match=r"ended well and left no a\.sqlite"):
        record(["nsys"], tmp_path / "a.sqlite", run=FakeRun())


def test_a_program_that_fails_is_one_sentence(tools: None, tmp_path: Path) -> None:
    """Exit status and last words, on one line."""
    run = FakeRun(returncode=3, stderr="Traceback\n  ...\nValueError: no\x1b run\n\n")

    with pytest.raises(MeasurementError, match=r"exit status 3, and its last words were .*no\\x1b run") as caught:
        record(["nsys"], tmp_path / "a.sqlite", run=run)
    assert "\n" not in str(caught.value)


def test_a_failure_without_words_is_still_a_sentence(tools: None, tmp_path: Path) -> None:
    """Nothing is quoted where nothing was said."""
    with pytest.raises(MeasurementError, match="exit status 1; run the program without the profiler"):
        record(["nsys"], tmp_path / "a.sqlite", run=FakeRun(returncode=1))


def test_forbidden_counters_are_a_matter_of_the_machine(tools: None, tmp_path: Path) -> None:
    """Why stands in its log, not on standard error."""
    log = tmp_path / "ncu.csv"
    run = FakeRun(returncode=1, leave=lambda: log.write_text("==ERROR== ERR_NVGPUCTRPERM - The user does not ..."))

    with pytest.raises(SetupError, match="only administrators"):
        record(["ncu"], log, run=run)


def test_a_folder_that_cannot_be_made_is_a_matter_of_the_machine(tools: None, tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("")

    with pytest.raises(SetupError, match="choose another folder"):
        record(["nsys"], tmp_path / "file" / "a.sqlite", run=FakeRun())


def test_a_run_under_nsys_is_told_in_lines(tools: None, tmp_path: Path) -> None:
    """Command, version, steps, and the kernels that took longest."""
    run = FakeRun(leave=lambda: two_steps(tmp_path / "nsys.sqlite"))

    first, summary, top, *rest = profile_outside("nsys", PROGRAM, tmp_path, run=run)

    assert first.startswith("nsys 2026.1.1.204-261136: nsys profile")
    assert summary == "export schema 3.24.14; 6 kernels, copies and fills, 3 steps of 300 ns together:"
    assert top == f"  70.0 ns  matrix  {GEMM}"
    assert all(len(line) <= 110 for line in rest[:-1])
    assert rest[-1].endswith("in Nsight Systems for the timeline.")


def test_a_run_under_ncu_is_told_in_lines(tools: None, tmp_path: Path) -> None:
    """The longest kernel first, with what it reached."""
    run = FakeRun(leave=lambda: (tmp_path / "ncu.csv").write_bytes((PAGES / "raw.csv").read_bytes()))

    lines = profile_outside("ncu", PROGRAM, tmp_path, run=run)

    assert lines[1].startswith("2 kernels")
    assert lines[2] == f"  1.25 ms  matrix  {GEMM}; compute 80 %, memory 40 %, occupancy 25 %"


# --- nsys -------------------------------------------------------------------------------------------------------


def test_an_export_becomes_tables(tmp_path: Path) -> None:
    """Names are looked up, times count from the earliest event to the nanosecond, marks are no ranges."""
    export = read_nsys(two_steps(tmp_path / "a.sqlite"))

    assert (export.schema_version, export.product_version) == ("3.24.14", "2026.1.1.204")
    assert export.device["name"].tolist() == [GEMM, GELU, "[memcpy host to device]", "[memset]", GEMM, GEMM]
    assert export.device["start_sec"].tolist() == pytest.approx([1e-8, 4e-8, 6e-8, 15e-8, 24e-8, 41e-8])
    assert export.device["moved_bytes"].tolist() == [0, 0, 4096, 64, 0, 0]
    assert export.ranges["name"].tolist() == ["perflib:offline", "perflib:offline", "perflib:single"]
    assert export.calls["duration_sec"].tolist() == pytest.approx([8e-9, 35e-9, 55e-9])


def test_tables_of_things_that_did_not_happen_are_empty(tmp_path: Path) -> None:
    """A table is made when something goes into it."""
    missing = [f"CUPTI_ACTIVITY_KIND_{name}" for name in ("MEMCPY", "MEMSET", "RUNTIME")]
    export = read_nsys(two_steps(tmp_path / "a.sqlite", without=missing))

    assert len(export.device) == 4
    assert export.calls.empty
    assert profile_of_export(export, like=known_profile()).share_ratio("framework") == 0


@pytest.mark.parametrize("version", ["2.0", "3.24.14", "3"])
def test_known_schemas_are_read(tmp_path: Path, version: str) -> None:
    """Within a major version columns are only added."""
    assert read_nsys(two_steps(tmp_path / "a.sqlite", version=version)).schema_version == version


@pytest.mark.parametrize("version", ["4.0.1", "1.9", "32.1", "", "None"])
def test_an_unknown_schema_is_refused_by_its_version(tmp_path: Path, version: str) -> None:
    """The reader must not guess what a column means now."""
    with pytest.raises(DataError, match=rf"export schema {version}, and the known .* 2 and 3; export .* again"):
        read_nsys(two_steps(tmp_path / "a.sqlite", version=version))


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    """Missing, empty, text, another database, cut off: each has its sentence."""
    whole = two_steps(tmp_path / "whole.sqlite").read_bytes()
    other = tmp_path / "other.sqlite"
    sqlite3.connect(other).execute("create table a (b)").connection.close()
    cases = {"none": None, "empty": b"", "text": b"no database " * 99, "cut": whole[: len(whole) // 2]}
    words = {
        "none": "does not exist",
        "empty": "no META_DATA_EXPORT",
        "text": "cannot be read",
        "cut": "cannot be read",
    }
    for name, content in cases.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=words[name]):
            read_nsys(tmp_path / name)
    with pytest.raises(DataError, match="no META_DATA_EXPORT"):
        read_nsys(other)


@pytest.mark.parametrize("table", ["CUPTI_ACTIVITY_KIND_KERNEL", "StringIds"])
def test_an_export_without_a_table_that_it_must_have_is_refused(tmp_path: Path, table: str) -> None:
    """A program that never reached the GPU leaves no kernels."""
    with pytest.raises(DataError, match=f"no table {table}.*run on a GPU"):
        read_nsys(two_steps(tmp_path / "a.sqlite", without=[table]))


def test_an_export_without_kernels_is_refused(tmp_path: Path) -> None:
    """An empty table says the same as a missing one."""
    with pytest.raises(DataError, match="holds no kernel"):
        read_nsys(two_steps(tmp_path / "a.sqlite", kernels=[]))


def test_times_that_are_none_are_refused(tmp_path: Path) -> None:
    """A kernel cannot end before it starts; one that takes no time can."""
    assert len(read_nsys(two_steps(tmp_path / "a.sqlite", kernels=[(GEMM, 10, 10)])).device) == 3
    with pytest.raises(DataError, match=f"`{GEMM}` ran from"):
        read_nsys(two_steps(tmp_path / "b.sqlite", kernels=[(GEMM, 10, 9)]))


def test_an_export_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six rows are allowed, and then five."""
    path = two_steps(tmp_path / "a.sqlite")
    monkeypatch.setattr(nsys_export, "MAX_ROW_COUNT", 6)
    read_nsys(path)
    monkeypatch.setattr(nsys_export, "MAX_ROW_COUNT", 5)

    with pytest.raises(DataError, match="more than 5 rows"):
        read_nsys(path)


# --- the profile of an export -----------------------------------------------------------------------------------


def test_every_moment_of_the_steps_belongs_to_somebody(tmp_path: Path) -> None:
    """
    By hand, in ns of 200: the product has 10–40, half of 40–50 and 240–260, the activation the other half and 50–60.

    The copy has 60–80. Launching is 0–8 and 210–240, where nothing ran; all else is idle, the wait for the GPU too.
    """
    profile = profile_of_export(read_nsys(two_steps(tmp_path / "a.sqlite")), like=known_profile())

    seconds = {one.kind: one.self_sec * 1e9 for one in profile.kinds}
    assert seconds == pytest.approx(
        {"matrix": 55, "elementwise": 15, "memory": 20, "framework": 38, "idle": 2 + 20 + 10 + 40}
    )
    assert list(seconds) == [kind for kind in KINDS if kind in seconds]
    assert sum(one.share_ratio for one in profile.kinds) == pytest.approx(1)
    assert profile.wall_sec == pytest.approx(200e-9)


def test_operators_are_kernels_by_name(tmp_path: Path) -> None:
    """Own time shares moments, total time does not; outside of the steps nothing counts."""
    profile = profile_of_export(read_nsys(two_steps(tmp_path / "a.sqlite")), like=known_profile())

    product, copy, activation = profile.operators
    assert (product.operator, product.kind, product.call_count) == (GEMM, "matrix", 2)
    assert (product.self_sec, product.total_sec) == pytest.approx((55e-9, 60e-9))
    assert (copy.operator, copy.moved_bytes) == ("[memcpy host to device]", 4096)
    assert activation.total_sec == pytest.approx(20e-9)
    assert sum(one.self_share_ratio for one in profile.operators) == pytest.approx(1)


def test_the_profile_keeps_what_nsys_cannot_know(tmp_path: Path) -> None:
    """Who was profiled and on what comes from the other profile, its unwatched time for as many steps."""
    path = two_steps(tmp_path / "a.sqlite")
    known = known_profile()
    profile = profile_of_export(read_nsys(path), like=known, path=path)

    assert (profile.name, profile.artifact_sha256, profile.padding_ratio) == ("baseline", "ab" * 32, 1 - 400 / 512)
    assert (profile.source, profile.device) == ("nsys 2026.1.1.204", "cuda")
    assert (profile.active_step_count, profile.unwatched_sec) == pytest.approx((2, 0.4))
    assert (profile.modules, profile.shapes, profile.memory, profile.peak_allocated_bytes) == ((), (), (), None)
    assert (profile.trace_folder, profile.trace_files) == (tmp_path.as_posix(), ("a.sqlite",))
    profile.write(tmp_path / "profile.json")
    assert Profile.read(tmp_path / "profile.json") == profile


def test_the_other_scenario_has_its_own_steps(tmp_path: Path) -> None:
    """One export may hold both."""
    profile = profile_of_export(read_nsys(two_steps(tmp_path / "a.sqlite")), like=known_profile(scenario="single"))

    assert {one.kind: one.self_sec * 1e9 for one in profile.kinds} == pytest.approx({"matrix": 10, "idle": 90})


def test_steps_that_are_missing_or_empty_are_refused(tmp_path: Path) -> None:
    """The program was another one, or it ran on the CPU."""
    with pytest.raises(DataError, match=r"no range `perflib:offline`.*--steps-only"):
        profile_of_export(read_nsys(two_steps(tmp_path / "a.sqlite", ranges=[])), like=known_profile())
    ranges = [("perflib:offline", 1000, 1100)]
    with pytest.raises(DataError, match="no kernel ran inside the ranges `perflib:offline`"):
        profile_of_export(read_nsys(two_steps(tmp_path / "b.sqlite", ranges=ranges)), like=known_profile())


def test_a_kernel_over_the_border_of_a_step_counts_inside_only(tmp_path: Path) -> None:
    """Half of it belongs to nobody's step, or to the next one."""
    changes = {"ranges": [("perflib:offline", 0, 100), ("perflib:offline", 100, 200)], "copies": [], "fills": []}
    path = two_steps(tmp_path / "a.sqlite", kernels=[(GEMM, 90, 130), (GELU, 190, 250)], calls=[], **changes)
    profile = profile_of_export(read_nsys(path), like=known_profile())

    assert profile.active_step_count == 2
    assert {one.kind: one.self_sec * 1e9 for one in profile.kinds} == pytest.approx(
        {"matrix": 40, "elementwise": 10, "idle": 150}
    )


@pytest.mark.parametrize("seed", range(5))
def test_shares_gaps_and_wall_time_agree_with_counting_moments(seed: int) -> None:
    """The oracle looks at every whole moment on its own."""
    dice = random.Random(seed)
    spans = [(float(start), float(start + dice.randint(0, 9))) for start in (dice.randint(0, 60) for _ in range(12))]
    windows = [(5.0, 30.0), (30.0, 42.0), (50.0, 66.0)]
    own = [0.0] * len(spans)
    for moment in range(80):
        running = [place for place, (start, end) in enumerate(spans) if start <= moment < end]
        for place in running:
            own[place] += 1 / len(running)
    bare = [
        moment
        for start, end in windows
        for moment in range(int(start), int(end))
        if not any(a <= moment < b for a, b in spans)
    ]

    found = gaps(merged(spans), windows)

    assert shared_sec(spans) == pytest.approx(own)
    assert [moment for start, end in found for moment in range(int(start), int(end))] == bare


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (GEMM, "matrix"),
        ("sm80_xmma_gemm_f16f16_f16f32_f32_tn_n_tilesize128x128x32_stage4", "matrix"),
        ("void cutlass::Kernel2<cutlass_80_tensorop_s1688gemm_256x128_16x4_tn_align4>(Params)", "matrix"),
        ("nvjet_tst_128x64_64x9_1x2_h_bz_TNT", "matrix"),
        ("void cublasLt::splitKreduce_kernel<32, 16, int, float>(...)", "matrix"),
        ("void pytorch_flash::flash_fwd_splitkv_kernel<...>", "attention"),
        ("fmha_cutlassF_f16_aligned_64x64_rf_sm80(...)", "attention"),
        ("void at::native::(anonymous namespace)::vectorized_layer_norm_kernel<float, float>(...)", "normalisation"),
        (
            "void at::native::(anonymous namespace)::softmax_warp_forward<float, float, float, 7, false>(...)",
            "reduction",
        ),
        ("void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float>>(...)", "reduction"),
        (GELU, "elementwise"),
        ("void at::native::unrolled_elementwise_kernel<at::native::direct_copy_kernel_cuda(...)>(...)", "memory"),
        ("void at::native::vectorized_elementwise_kernel<4, at::native::FillFunctor<float>>(...)", "memory"),
        ("[memcpy host to device]", "memory"),
        ("[memset]", "memory"),
        ("void at::native::indexSelectLargeIndex<float, long, unsigned int, 2, 2, -2, true>(...)", "embedding"),
        ("triton_red_fused_addmm_native_layer_norm_3", "fused"),
        ("triton_tem_fused_mm_7", "matrix"),
        ("void dequantize_kernel<signed char>(...)", "quantization"),
        ("void convert_layout(...)", "other"),
        ("my_kernel", "other"),
    ],
)
def test_kinds_of_kernels(name: str, kind: str) -> None:
    """By names that CUDA's libraries and PyTorch give them."""
    assert kernel_kind(name) == kind
    assert kind in KINDS


# --- ncu --------------------------------------------------------------------------------------------------------


def test_the_raw_page_is_read_in_base_units() -> None:
    """A multiply-add is two operations; what was not measured is no number."""
    first, second = read_ncu(PAGES / "raw.csv").to_dict("records")

    assert first == pytest.approx(
        {
            "name": GEMM,
            "duration_sec": 1.2505e-3,
            "dram_bytes": 2.5e6,
            "compute_share_ratio": 0.8025,
            "memory_share_ratio": 0.4,
            "occupancy_ratio": 0.25,
            "vector_flop_count": 8_001_500,
        }
    )
    assert second["name"].startswith("void at::native::vectorized_elementwise_kernel<4,")
    assert math.isnan(second["dram_bytes"])
    assert second["duration_sec"] == pytest.approx(12e-6)


def test_the_details_page_says_the_same() -> None:
    """A rate under the same name is not taken for a share, and advice is no metric."""
    details, raw = read_ncu(PAGES / "details.csv"), read_ncu(PAGES / "raw.csv")

    measured = list(details.columns.drop("vector_flop_count"))
    pd.testing.assert_frame_equal(details[measured].head(1), raw[measured].head(1))
    assert details["name"].tolist() == [GEMM, "cunn_SoftMaxForward"]
    assert details["duration_sec"].tolist() == pytest.approx([1.2505e-3, 9e-7])
    assert math.isnan(details["compute_share_ratio"][1])


def test_pages_that_are_none_are_refused(tmp_path: Path) -> None:
    """Each has its sentence."""
    text = (PAGES / "raw.csv").read_text()
    header = text[: text.index('"","",')]
    cases = {
        "": "no page of ncu",
        "==PROF== Connected\n==WARNING== No kernels were profiled.\n": "no page of ncu",
        header: "holds no kernel",
        text[: text.index('"0","4242"')]: "holds no kernel",
        text.replace('"","","",', '"9","","",', 1): "no row of units",
        text[:-40]: "cut off",
        text[: text.rindex(",")]: "cut off",
        text.replace("Kernel Name", "Kernel"): "no column `Kernel Name`",
        text.replace("1,250.5", "many"): "the value 'many' in 'us'",
        text.replace('"us"', '"week"'): "in 'week', which cannot be read",
    }
    for content, words in cases.items():
        (tmp_path / "page.csv").write_text(content)
        with pytest.raises(DataError, match=words):
            read_ncu(tmp_path / "page.csv")
    (tmp_path / "page.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        read_ncu(tmp_path / "page.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_ncu(tmp_path / "nowhere.csv")
