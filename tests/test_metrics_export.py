"""What is exported says what was measured, can be read by Prometheus whatever things are called, and stays here."""

import dataclasses
import http.client
import math
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from perflib.errors import DataError, ParameterError, SetupError
from perflib.regression.metrics.export import CONTENT_TYPE, export_metrics, write_metrics
from perflib.regression.metrics.families import NAMES
from perflib.regression.metrics.server import HOST, MetricsServer
from perflib.results.history import CANARY, METRICS, SeriesKey
from perflib.results.speed import NoiseFloor, VisibleEffect
from tests.synthetic_history import (
    HARDWARE_CLASS,
    HOST_ID,
    WORKLOAD,
    make_alert,
    make_check,
    make_point,
    make_points,
    make_promotion,
    make_series,
    run_id,
    run_ulid,
)

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def families_of(content: bytes) -> list[Metric]:
    """Read OpenMetrics text with the library's own strict parser."""
    return list(text_string_to_metric_families(content.decode()))  # type: ignore[no-untyped-call]


def samples_of(content: bytes) -> Samples:
    """Read the samples of a text: (name, labels) -> value."""
    samples = [sample for family in families_of(content) for sample in family.samples]
    found = {(one.name, frozenset(one.labels.items())): float(one.value) for one in samples}
    assert len(found) == len(samples), "a sample stands twice"
    return found


def value_of(samples: Samples, name: str, **labels: str) -> list[float]:
    """Return the values of that name which carry these labels."""
    return [value for (found, words), value in samples.items() if found == name and set(labels.items()) <= words]


# --- results ----------------------------------------------------------------------------------------------------


def test_the_newest_point_of_every_series_is_there_once() -> None:
    """Each with its own labels and nothing else of that name."""
    points = make_points()
    samples = samples_of(export_metrics(points))
    newest = [point for point in points if point.run_ulid == run_ulid(29)]

    assert len(newest) == 18
    for point in newest:
        name, words = NAMES[point.metric]
        labels = {word: getattr(point, word) for word in ("workload", "candidate", "scenario", "hardware_class")}
        assert samples[name, frozenset((labels | words).items())] == point.value
    named = {name for name, _ in NAMES.values()}
    assert sum(name in named for name, _ in samples) == len(newest)


def test_every_metric_of_a_history_has_a_name_with_its_unit() -> None:
    """A new metric has to be named here, in base units."""
    suffixes = {"s": "_seconds", "1/s": "_per_second", "B": "_bytes", "1": "_ratio"}

    assert set(NAMES) == set(METRICS)
    for metric, (name, _) in NAMES.items():
        assert name.startswith("perflib_")
        assert name.endswith(suffixes[METRICS[metric].unit]), name


def test_the_units_are_declared() -> None:
    """Prometheus refuses a unit that is not the end of the name; the parser does too."""
    units = {one.name: one.unit for one in families_of(export_metrics(make_points()))}

    assert units["perflib_latency_seconds"] == "seconds"
    assert units["perflib_throughput_examples_per_second"] == "examples_per_second"
    assert units["perflib_machine_seconds_per_million_examples"] == "seconds_per_million_examples"
    assert units["perflib_result_marked"] == ""


def test_the_run_orders_a_series_and_never_the_clock_or_the_place() -> None:
    """The newest run counts, though its clock was set back and it stands first."""
    old, new = make_series([0.5, 0.25])
    set_back = dataclasses.replace(new, recorded="2020-01-01T00:00:00+00:00")

    samples = samples_of(export_metrics([set_back, old]))

    assert value_of(samples, "perflib_latency_seconds", percentile="50") == [0.25]
    assert value_of(samples, "perflib_result_timestamp_seconds") == [1577836800.0]
    assert value_of(samples, "perflib_run_info", run_id=run_id(1)) == [1.0]
    assert value_of(samples, "perflib_run_info", run_id=run_id(0)) == []


@pytest.mark.parametrize(
    ("recorded", "timestamps"),
    [
        ("2020-01-01T00:00:00Z", [1577836800.0]),
        ("2020-01-01T00:00:00", [1577836800.0]),
        ("2020-01-01T01:00:00+01:00", [1577836800.0]),
        ("yesterday", []),
    ],
)
def test_a_time_is_read_as_utc_unless_it_says_otherwise(recorded: str, timestamps: list[float]) -> None:
    """What is no time is left out."""
    (point,) = make_series([0.5])
    samples = samples_of(export_metrics([dataclasses.replace(point, recorded=recorded)]))

    assert value_of(samples, "perflib_result_timestamp_seconds") == timestamps


def test_a_marked_result_is_shown_and_says_so() -> None:
    """The newest run was of a quarantined machine; the one before was not."""
    after = samples_of(export_metrics(make_points(run_count=3, marked=[2])))
    before = samples_of(export_metrics(make_points(run_count=3, marked=[1])))

    assert value_of(after, "perflib_result_marked") == [1.0, 1.0]
    assert value_of(before, "perflib_result_marked") == [0.0, 0.0]
    assert len(value_of(after, "perflib_latency_seconds")) == 4


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_left_out(value: float) -> None:
    """Nowhere in the text, also not in what follows from it."""
    points = [*make_series([value], metric="examples_per_sec"), *make_series([value], metric="speedup_ratio")]
    text = export_metrics([*points, *make_series([value])], promotions=[make_promotion()]).decode()

    assert not re.search(r"nan|inf\b", text, re.IGNORECASE)
    assert value_of(samples_of(text.encode()), "perflib_result_timestamp_seconds") != []


def test_a_point_in_another_unit_is_left_out() -> None:
    """Milliseconds under a name that says seconds would be a lie; so would a metric that nobody knows."""
    (point,) = make_series([0.5])
    other = dataclasses.replace(point, value=500.0, unit="ms")
    unknown = dataclasses.replace(point, metric="p12_sec")

    for strange in (other, unknown):
        assert value_of(samples_of(export_metrics([strange])), "perflib_latency_seconds") == []


NASTY = [
    'say "hi"',
    "back\\slash",
    "two\nlines",
    "\\n is not a line",
    "größer · 1×",
    "a,b={c}",
    "\r\t",
    "# EOF",
    " ",
    "a\0b",
]


@pytest.mark.parametrize("name", NASTY)
def test_a_name_comes_back_as_it_was(name: str) -> None:
    """Quotes, backslashes and line breaks are escaped."""
    samples = samples_of(export_metrics(make_series([0.5], workload=name, candidate=name)))

    assert value_of(samples, "perflib_latency_seconds", workload=name, candidate=name) == [0.5]


def test_nothing_gives_a_text_without_samples() -> None:
    """A history may be empty."""
    assert export_metrics([]) == b"# EOF\n"


def test_the_same_points_give_the_same_text() -> None:
    """Byte by byte, so that a file in git or a digest means something."""
    points = make_points()
    check = make_check(points, is_worse=True)

    assert export_metrics(points, checks=[check]) == export_metrics(points, checks=[check])


# --- machine time -----------------------------------------------------------------------------------------------


def test_machine_time_follows_from_throughput() -> None:
    """2,000 a second are 500 s for a million; on 4 cores, 2,000 core seconds."""
    points = make_series([2000.0], metric="examples_per_sec", scenario="offline")
    samples = samples_of(export_metrics(points, core_counts={HARDWARE_CLASS: 4}))

    assert value_of(samples, "perflib_machine_seconds_per_million_examples", scenario="offline") == [500.0]
    assert value_of(samples, "perflib_core_seconds_per_million_examples", scenario="offline") == [2000.0]


def test_core_time_needs_the_cores_of_that_machine() -> None:
    """Those of another hardware class are not taken."""
    points = make_series([2000.0], metric="examples_per_sec")

    for counts in (None, {"another-class": 4}):
        samples = samples_of(export_metrics(points, core_counts=counts))
        assert value_of(samples, "perflib_machine_seconds_per_million_examples") == [500.0]
        assert value_of(samples, "perflib_core_seconds_per_million_examples") == []


def test_a_throughput_of_zero_costs_nothing_that_could_be_written() -> None:
    """It is exported, the time for a million is not."""
    samples = samples_of(export_metrics(make_series([0.0], metric="examples_per_sec")))

    assert value_of(samples, "perflib_throughput_examples_per_second") == [0.0]
    assert value_of(samples, "perflib_machine_seconds_per_million_examples") == []


def test_what_the_promoted_candidate_saves_comes_from_both_side_by_side() -> None:
    """Four times as fast saves three quarters; throughputs measured apart do not count."""
    points = [
        *make_series([4.0], metric="speedup_ratio", scenario="offline"),
        *make_series([0.5], metric="speedup_ratio", scenario="offline", candidate="bf16"),
        *make_series([10.0], metric="examples_per_sec", scenario="offline"),
        *make_series([9.0], metric="examples_per_sec", scenario="offline", candidate="baseline"),
    ]
    samples = samples_of(export_metrics(points, promotions=[make_promotion()]))

    assert value_of(samples, "perflib_promoted", candidate="int8") == [1.0]
    assert value_of(samples, "perflib_machine_seconds_saved_ratio") == [0.75]
    assert value_of(samples, "perflib_machine_seconds_saved_ratio", candidate="int8", scenario="offline") == [0.75]


def test_the_newest_promotion_counts_where_it_was_made() -> None:
    """It replaces the one before and says nothing of other machines and workloads; a slower one saves less than 0."""
    points = [
        *make_series([4.0], metric="speedup_ratio"),
        *make_series([0.5], metric="speedup_ratio", candidate="bf16"),
        *make_series([8.0], metric="speedup_ratio", candidate="bf16", hardware_class="another-class"),
        *make_series([8.0], metric="speedup_ratio", candidate="bf16", workload="another"),
    ]
    promotions = [make_promotion("bf16", index=2), make_promotion("int8", index=1)]
    samples = samples_of(export_metrics(points, promotions=promotions))

    assert value_of(samples, "perflib_promoted") == [1.0]
    assert value_of(samples, "perflib_machine_seconds_saved_ratio") == [-1.0]


# --- what the watch says ----------------------------------------------------------------------------------------


def test_a_check_is_counted() -> None:
    """Exit code, suspects by direction, verdicts, and the state and noise of each series."""
    points = make_points()
    samples = samples_of(export_metrics(points, checks=[make_check(points, is_worse=True)]))
    here = {"workload": WORKLOAD, "hardware_class": HARDWARE_CLASS}

    assert value_of(samples, "perflib_check_exit_code", **here) == [3.0]
    assert value_of(samples, "perflib_nominations", direction="worse", **here) == [1.0]
    assert value_of(samples, "perflib_nominations", direction="better", **here) == [0.0]
    assert value_of(samples, "perflib_confirmations", verdict="CONFIRMED") == [1.0]
    assert value_of(samples, "perflib_confirmations", verdict="MACHINE") == [0.0]
    assert len(value_of(samples, "perflib_confirmations")) == 4
    suspect = {"candidate": "int8", "scenario": "single", "metric": "p50_sec"}
    assert value_of(samples, "perflib_series_state", **suspect, perflib_series_state="nominated") == [1.0]
    assert sum(value_of(samples, "perflib_series_state", **suspect)) == 1.0
    assert value_of(samples, "perflib_noise_ratio", **suspect) == [0.01]
    assert value_of(samples, "perflib_visible_effect_ratio", **suspect) == [0.05]
    assert value_of(samples, "perflib_noise_ratio", metric="size_bytes") == []


def test_the_newest_check_of_each_workload_counts() -> None:
    """An older run of the same workload does not, whenever it was checked; that of another workload does."""
    points = make_points(run_count=2)
    old = make_check(points[: len(points) // 2], exit_code=5, checked="2030-01-01T00:00:00+00:00")
    other = make_check(make_points(run_count=1, workload="another"), exit_code=3)
    samples = samples_of(export_metrics([], checks=[make_check(points), old, other]))

    assert value_of(samples, "perflib_check_exit_code", workload=WORKLOAD) == [0.0]
    assert value_of(samples, "perflib_check_exit_code", workload="another") == [3.0]
    assert value_of(samples, "perflib_check_exit_code", workload=CANARY) == []


def test_of_two_checks_of_one_run_the_later_in_the_list_counts() -> None:
    """It was checked again."""
    samples = samples_of(export_metrics([], checks=[make_check(), make_check(exit_code=5)]))

    assert value_of(samples, "perflib_check_exit_code") == [5.0]


def test_each_host_has_its_own_quarantine() -> None:
    """Two of one class."""
    checks = [make_check(), make_check(host_id="host-2", is_quarantined=True)]
    samples = samples_of(export_metrics([], checks=checks))

    assert value_of(samples, "perflib_machine_quarantined", host_id=HOST_ID) == [0.0]
    assert value_of(samples, "perflib_machine_quarantined", host_id="host-2") == [1.0]


def test_alerts_are_counted_by_state_and_a_place_without_any_shows_zero() -> None:
    """Nothing to see and nothing seen are not the same."""
    quiet = make_series([0.5], workload="quiet")
    alerts = [make_alert(index=0), make_alert(index=1), make_alert(index=2, state="FIXED", kind="benchmark")]
    samples = samples_of(export_metrics(quiet, alerts=alerts))

    assert value_of(samples, "perflib_alerts", workload=WORKLOAD, kind="performance", state="OPEN") == [2.0]
    assert value_of(samples, "perflib_alerts", workload=WORKLOAD, kind="benchmark", state="FIXED") == [1.0]
    assert sum(value_of(samples, "perflib_alerts", workload=WORKLOAD)) == 3.0
    assert value_of(samples, "perflib_alerts", workload="quiet") == [0.0] * 18


def test_what_a_machine_can_see_is_exported() -> None:
    """Its noise, the lives that effects need, and its canary; an unknown noise is left out."""
    floor = NoiseFloor(HARDWARE_CLASS, 20, 0.013, 0.05, (VisibleEffect(0.03, 14), VisibleEffect(0.1, 6)), 60.0)
    unknown = dataclasses.replace(floor, hardware_class="other", sd_ratio=None, visible=())
    canary = make_point(SeriesKey(CANARY, "cpu", "all", "level_sec", HARDWARE_CLASS), 0.02)
    samples = samples_of(export_metrics([canary], noise=[floor, unknown]))

    assert value_of(samples, "perflib_machine_noise_ratio") == [0.013]
    assert value_of(samples, "perflib_visible_effect_lives", effect_ratio="0.03") == [14.0]
    assert value_of(samples, "perflib_visible_effect_lives", effect_ratio="0.1") == [6.0]
    assert value_of(samples, "perflib_canary_level_seconds", candidate="cpu") == [0.02]
    assert value_of(samples, "perflib_result_timestamp_seconds") == []
    assert value_of(samples, "perflib_alerts") == []


def test_promtool_finds_nothing_to_complain_about() -> None:
    """It reads the older format, which knows neither info nor state sets; all else is the same."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    points = make_points()
    content = export_metrics(points, checks=[make_check(points)], alerts=[make_alert()], promotions=[make_promotion()])
    older = re.sub(rb"(?m)^(# TYPE \S+) (info|stateset)$", rb"\1 gauge", content)
    older = re.sub(rb"(?m)^# (HELP|TYPE) perflib_run ", rb"# \1 perflib_run_info ", older)

    reply = subprocess.run([promtool, "check", "metrics"], input=older, capture_output=True, timeout=60)

    assert (reply.returncode, reply.stdout + reply.stderr) == (0, b"")


# --- the file ---------------------------------------------------------------------------------------------------


def test_the_file_holds_what_was_exported(tmp_path: Path) -> None:
    """Written over an older one, with nothing left beside it."""
    path = tmp_path / "metrics" / "perflib.txt"
    write_metrics(path, make_series([0.5]))

    assert write_metrics(path, make_points(), alerts=[make_alert()]) == path
    assert path.read_bytes() == export_metrics(make_points(), alerts=[make_alert()])
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_a_data_error(tmp_path: Path) -> None:
    """One sentence that names the file."""
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(DataError, match=r"metrics\.txt cannot be written"):
        write_metrics(tmp_path / "file" / "metrics.txt", make_series([0.5]))


# --- the server -------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MetricsServer]:
    """A running server; its file is not written yet."""
    with MetricsServer(tmp_path / "metrics.txt", 0) as running:
        threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
        yield running
        running.shutdown()


def _ask(
    server: MetricsServer, path: str = "/metrics", *, method: str = "GET", host: str | None = ""
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    if host is not None:
        connection.putheader("Host", host or f"{HOST}:{server.server_port}")
    connection.endheaders()
    reply = connection.getresponse()
    found = reply.status, dict(reply.getheaders()), reply.read()
    connection.close()
    return found


def test_the_file_is_served_as_openmetrics_and_read_anew_each_time(server: MetricsServer) -> None:
    """Whoever writes it need not know that it is served."""
    for value in (0.5, 0.25):
        write_metrics(server.path, make_series([value]))
        status, headers, body = _ask(server)

        assert (status, body) == (200, server.path.read_bytes())
        assert headers["Content-Type"] == CONTENT_TYPE == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        assert headers["Content-Length"] == str(len(body))
    assert _ask(server, "/metrics?collect=all")[0] == 200
    assert server.url == f"http://127.0.0.1:{server.server_port}/metrics"
    assert server.server_address[0] == "127.0.0.1"


def test_a_missing_file_is_a_sentence(server: MetricsServer) -> None:
    """Prometheus shows the target as down, and a person reads what to do."""
    status, headers, body = _ask(server)

    assert (status, headers["Content-Type"]) == (503, "text/plain; charset=utf-8")
    assert body.decode() == (
        f"{server.path} cannot be read (No such file or directory); run `perflib metrics` to write it.\n"
    )


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metrics/../metrics", "/metrics.txt", "/%6detrics", "["])
def test_nothing_else_is_served(server: MetricsServer, path: str) -> None:
    """No other path, whatever it looks like."""
    write_metrics(server.path, make_series([0.5]))
    status, _, body = _ask(server, path)

    assert status == 404
    assert b"perflib_" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_it_can_only_be_read(server: MetricsServer, method: str) -> None:
    """There is nothing to change."""
    write_metrics(server.path, make_series([0.5]))

    assert _ask(server, method=method)[0] == 501


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::1]", "[", "@", None])
def test_a_page_elsewhere_cannot_read_it_by_a_name_of_its_own(server: MetricsServer, host: str | None) -> None:
    """Whoever asks under another name, or under none, is refused."""
    write_metrics(server.path, make_series([0.5]))
    status, _, body = _ask(server, host=host)

    assert status == 403
    assert b"perflib_" not in body


def test_localhost_is_a_name_of_ours(server: MetricsServer) -> None:
    """With and without a port."""
    write_metrics(server.path, make_series([0.5]))

    assert [_ask(server, host=host)[0] for host in ("localhost", "LOCALHOST:9000", "127.0.0.1")] == [200, 200, 200]


def test_a_taken_port_is_a_setup_error(tmp_path: Path) -> None:
    """The sentence says what to do."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(SetupError, match=rf"^port {port} is taken by another program; .* with PORT=…\.$"):
            MetricsServer(tmp_path / "metrics.txt", port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_is_refused(tmp_path: Path, port: int) -> None:
    """Both ends."""
    with pytest.raises(ParameterError, match=f"port {port} does not exist"):
        MetricsServer(tmp_path / "metrics.txt", port)
