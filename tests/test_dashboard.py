"""Every panel of the Grafana dashboard shows something: its queries are asked of a real Prometheus that scraped us."""

import copy
import json
import math
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import perflib
from perflib.regression.metrics.export import write_metrics
from perflib.regression.metrics.server import MetricsServer
from perflib.results.speed import NoiseFloor, VisibleEffect
from tests.synthetic_history import (
    HARDWARE_CLASS,
    WORKLOAD,
    Planted,
    make_alert,
    make_check,
    make_points,
    make_promotion,
)

PATH = Path(perflib.__file__).parent / "templates" / "grafana" / "perflib.json"
PROMETHEUS = shutil.which("prometheus") or shutil.which("/usr/bin/prometheus")
OTHER_CLASS = "intel-xeon-4c-16g-4e5f6071"
# A workload with a regression, one where all is well, and one whose name has everything that must be escaped.
QUIET, NASTY = "quiet", 'a "name" with \\ and\na line break'
WORKLOADS = (WORKLOAD, QUIET, NASTY)

Query = Callable[[str], list[float]]


def read_dashboard() -> dict[str, Any]:
    """Return the dashboard as it ships."""
    document: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return document


def panels_of(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels that draw something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def variables_of(dashboard: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the variables by name."""
    return {one["name"]: one for one in dashboard["templating"]["list"]}


def defaults_of(dashboard: dict[str, Any], workload: str) -> dict[str, str]:
    """Return what Grafana puts in for each variable as long as nobody has chosen: all of it, or the text in the box."""
    values = {"workload": workload.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")}
    for name, one in variables_of(dashboard).items():
        if one.get("includeAll"):
            values[name] = one["allValue"]
        elif one["type"] == "textbox":
            values[name] = one["query"]
    return values


def filled(expression: str, values: dict[str, str]) -> str:
    """Put values in for variables, Grafana's own intervals included; a variable that nobody knows is a KeyError."""
    values = {"__rate_interval": "1m", "__interval": "15s", "__range": "1h"} | values
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: values[found[1] or found[2]], expression)


def empty_panels(dashboard: dict[str, Any], workload: str, query: Query) -> list[str]:
    """Ask every query of every panel; return those that fail, that return nothing, or something that is no number."""
    found = []
    for panel in panels_of(dashboard):
        for target in panel["targets"]:
            try:
                values = query(filled(target["expr"], defaults_of(dashboard, workload)))
            except (KeyError, ValueError) as error:
                found.append(f"{panel['title']} {target['refId']}: {error!r}")
                continue
            if not values or not all(map(math.isfinite, values)):
                found.append(f"{panel['title']} {target['refId']}: {values}")
    return found


# --- the file ---------------------------------------------------------------------------------------------------


def test_every_panel_says_what_it_shows() -> None:
    """Title, description and unit; ids and titles stand once."""
    panels = panels_of(read_dashboard())
    everything = read_dashboard()["panels"]

    assert len({panel["id"] for panel in everything}) == len(everything)
    assert len({panel["title"] for panel in everything}) == len(everything)
    for panel in panels:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]
        assert "perflib_" not in panel["title"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0, panel["title"]


def test_the_rows_stand_in_the_order_of_the_questions() -> None:
    """What is worse comes first."""
    rows = [panel["title"] for panel in read_dashboard()["panels"] if panel["type"] == "row"]

    assert rows == ["Is anything worse?", "Speed", "Right answers and size", "FinOps", "Can this machine tell?"]


def test_no_two_panels_overlap_and_none_is_too_wide() -> None:
    """Grafana would push them about."""
    taken: dict[tuple[int, int], str] = {}
    for panel in read_dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


def test_the_data_source_is_the_one_that_the_user_chooses() -> None:
    """Asked for at import, kept in a variable, and named in no other way."""
    dashboard = read_dashboard()
    sources = re.findall(r'"uid": "([^"]*)"', PATH.read_text(encoding="utf-8"))

    assert set(sources) == {"${datasource}", "-- Grafana --", "perflib"}
    assert dashboard["uid"] == "perflib"
    assert [one["name"] for one in dashboard["__inputs"]] == ["DS_PROMETHEUS"]
    assert variables_of(dashboard)["datasource"]["current"]["value"] == "${DS_PROMETHEUS}"
    for panel in panels_of(dashboard):
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]


def test_every_variable_can_be_chosen_and_money_is_only_an_example() -> None:
    """No price comes with the dashboard but 1, and whatever shows money says that it is an example."""
    dashboard = read_dashboard()
    variables = variables_of(dashboard)

    assert list(variables)[:4] == ["datasource", "workload", "hardware_class", "candidate"]
    for name in ("price_per_machine_hour", "examples_per_month"):
        assert variables[name]["type"] == "textbox"
        assert variables[name]["label"].endswith("(example until you edit it)")
        assert variables[name]["current"]["value"] == variables[name]["query"]
    assert variables["price_per_machine_hour"]["query"] == "1"
    money = [one for one in panels_of(dashboard) if "price_per_machine_hour" in json.dumps(one["targets"])]
    assert len(money) == 2
    assert all("(example until you edit the price" in one["title"] for one in money)


def test_every_variable_is_known_and_used() -> None:
    """A query with a variable that nobody defines returns nothing, and a box that changes nothing is a lie."""
    dashboard = read_dashboard()
    text = json.dumps([panel["targets"] for panel in panels_of(dashboard)])
    used = {first or second for first, second in re.findall(r"\$(?:\{(\w+)\}|(\w+))", text)}

    assert used == set(variables_of(dashboard))


def test_an_unknown_variable_is_found() -> None:
    """The one that puts in values does not pass it over."""
    assert filled("x[$__rate_interval] * ${a} / $b", {"a": "2", "b": "3"}) == "x[1m] * 2 / 3"
    with pytest.raises(KeyError, match="c"):
        filled("$c", {"a": "2"})


# --- a real Prometheus ------------------------------------------------------------------------------------------


class Prometheus:
    """The interface of a running server."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, **words: str) -> Any:
        """Return the data of a reply; `ValueError` with Prometheus' own words if it refuses."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(words)}", timeout=10) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(error.read().decode()) from error

    def query(self, expression: str) -> list[float]:
        """Return the values of an instant query."""
        return [float(one["value"][1]) for one in self.ask("/api/v1/query", query=expression)["result"]]

    def label_values(self, definition: str, values: dict[str, str]) -> list[str]:
        """Answer the query of a variable, as Grafana asks it: the values of a label among series that match."""
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", definition)
        assert match, definition
        found = self.ask(f"/api/v1/label/{match[2]}/values", **{"match[]": filled(match[1], values)})
        return list(found)

    def is_up(self) -> bool:
        """Say whether our target was scraped without complaint."""
        try:
            return self.query("up") == [1.0]
        except (OSError, ValueError):
            return False  # it is still starting


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Serve a history of three workloads and start a Prometheus that scrapes it every second."""
    if PROMETHEUS is None:
        pytest.skip("Prometheus is not installed (Debian: apt-get install prometheus)")
    folder = tmp_path_factory.mktemp("prometheus")
    with MetricsServer(write_history(folder / "metrics.txt"), 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        config = folder / "prometheus.yml"
        target = f"static_configs: [{{targets: ['127.0.0.1:{server.server_port}']}}]"
        config.write_text(f"scrape_configs:\n- job_name: perflib\n  scrape_interval: 1s\n  {target}\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        places = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
        command = [PROMETHEUS, *places, f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
        with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                running = Prometheus(port)
                end = time.monotonic() + 30
                while not running.is_up():
                    if process.poll() is not None or time.monotonic() > end:
                        pytest.fail(f"Prometheus does not scrape: {(folder / 'log').read_text()}")
                    time.sleep(0.2)
                yield running
            finally:
                process.kill()  # what it has stored is thrown away
        server.shutdown()


def write_history(path: Path) -> Path:
    """Write the metrics of all three workloads; the first is measured on two hardware classes."""
    worse = make_points(planted=Planted("int8", 25, cost_ratio=1.1))
    others = [make_points(workload=name, has_canary=False) for name in (QUIET, NASTY)]
    elsewhere = make_points(hardware_class=OTHER_CLASS)
    suspicious = make_check(worse, is_worse=True)
    floor = NoiseFloor(HARDWARE_CLASS, 20, 0.013, 0.05, (VisibleEffect(0.03, 14),), 60.0)
    return write_metrics(
        path,
        [point for points in (worse, elsewhere, *others) for point in points],
        checks=[suspicious, *(make_check(points) for points in (elsewhere, *others))],
        alerts=[make_alert(suspicious.nominations)],
        promotions=[make_promotion(workload=name) for name in WORKLOADS],
        noise=[floor],
        core_counts={HARDWARE_CLASS: 2, OTHER_CLASS: 4},
    )


@pytest.mark.parametrize("workload", WORKLOADS, ids=["worse", "quiet", "nasty"])
def test_every_query_of_every_panel_returns_numbers(prometheus: Prometheus, workload: str) -> None:
    """Also where nothing is wrong: an empty panel could mean that nobody looked."""
    assert empty_panels(read_dashboard(), workload, prometheus.query) == []


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ("perflib_no_such_metric", r": \[\]$"),
        ('perflib_latency_seconds{workload="$workload"', "parse error"),
        ("perflib_accuracy_ratio * $price", "KeyError"),
        ("perflib_accuracy_ratio / 0", r"inf"),
    ],
)
def test_a_broken_query_is_found(prometheus: Prometheus, broken: str, complaint: str) -> None:
    """One that matches nothing, that cannot be read, with an unknown variable, and one whose result is no number."""
    dashboard = copy.deepcopy(read_dashboard())
    panel = panels_of(dashboard)[-1]
    panel["targets"][0]["expr"] = broken

    (found,) = empty_panels(dashboard, WORKLOAD, prometheus.query)

    assert found.startswith(f"{panel['title']} A: ")
    assert re.search(complaint, found)


def test_the_variables_offer_what_was_measured(prometheus: Prometheus) -> None:
    """Workloads without the canary, each name as it was, and the rest as the choice before narrows it."""
    dashboard = read_dashboard()
    asked = {name: one["query"]["query"] for name, one in variables_of(dashboard).items() if one["type"] == "query"}
    values = {name: defaults_of(dashboard, name) for name in WORKLOADS}

    assert sorted(prometheus.label_values(asked["workload"], {})) == sorted(WORKLOADS)
    assert prometheus.label_values(asked["hardware_class"], values[WORKLOAD]) == [HARDWARE_CLASS, OTHER_CLASS]
    assert prometheus.label_values(asked["hardware_class"], values[QUIET]) == [HARDWARE_CLASS]
    for name in WORKLOADS:
        assert prometheus.label_values(asked["candidate"], values[name]) == ["baseline", "int8"]


def test_a_choice_narrows_every_panel(prometheus: Prometheus) -> None:
    """No query returns a series of another workload, hardware class or, where it names one, candidate."""
    dashboard = read_dashboard()
    values = defaults_of(dashboard, WORKLOAD) | {"hardware_class": OTHER_CLASS, "candidate": "baseline"}
    seen_count = 0
    for panel in panels_of(dashboard):
        for target in panel["targets"]:
            for one in prometheus.ask("/api/v1/query", query=filled(target["expr"], values))["result"]:
                labels, seen_count = one["metric"], seen_count + 1
                assert labels.get("workload", WORKLOAD) in (WORKLOAD, "canary"), panel["title"]
                assert labels.get("hardware_class", OTHER_CLASS) == OTHER_CLASS, panel["title"]
                if "$candidate" in target["expr"]:
                    assert labels.get("candidate", "baseline") == "baseline", panel["title"]
    assert seen_count > len(panels_of(dashboard)), "nothing was narrowed"


def test_the_numbers_of_the_first_row_are_right(prometheus: Prometheus) -> None:
    """One alert where something was planted, none elsewhere."""
    dashboard = read_dashboard()
    by_title = {panel["title"]: panel["targets"][0]["expr"] for panel in panels_of(dashboard)}

    def shown(title: str, workload: str) -> list[float]:
        return sorted(prometheus.query(filled(by_title[title], defaults_of(dashboard, workload))))

    assert shown("Alerts that wait for somebody", WORKLOAD) == [1.0]
    assert shown("Alerts that wait for somebody", QUIET) == [0.0]
    assert shown("What the newest check said", WORKLOAD) == [0.0, 3.0]
    assert shown("Suspects of the newest check", WORKLOAD) == [0.0, 1.0]
    assert shown("Machines in quarantine", QUIET) == [0.0]


def test_money_follows_the_boxes(prometheus: Prometheus) -> None:
    """Hours for a million × price × millions a month, for the baseline and what was promoted; what is saved fits."""
    dashboard = read_dashboard()
    by_title = {panel["title"].partition(" (")[0]: panel["targets"] for panel in panels_of(dashboard)}
    values = defaults_of(dashboard, QUIET) | {"price_per_machine_hour": "3", "examples_per_month": "5e6"}
    ((baseline_rate,), (int8_rate,)) = (
        prometheus.query(f'perflib_throughput_examples_per_second{{workload="{QUIET}",candidate="{name}"}}')
        for name in ("baseline", "int8")
    )
    asked = {title: [prometheus.query(filled(one["expr"], values)) for one in by_title[title]] for title in by_title}

    (baseline_cost,), (int8_cost,) = asked["Cost per month"]
    assert baseline_cost == pytest.approx(1e6 / baseline_rate / 3600 * 3 * 5)
    assert int8_cost == pytest.approx(1e6 / int8_rate / 3600 * 3 * 5)
    # Of these points the ratio side by side is exactly that of the throughputs.
    assert asked["Saved per month"] == [[pytest.approx(baseline_cost - int8_cost)]]
