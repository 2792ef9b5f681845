"""What the commands of the watch do, with names instead of objects: check a run, send what waits, change an alert."""

import dataclasses
import datetime
from pathlib import Path

from perflib import plots, project, sentences
from perflib.benchmarking.lock import host_lock
from perflib.errors import ParameterError
from perflib.plain_yaml import read_yaml
from perflib.regression.alerts.deliver import Courier
from perflib.regression.alerts.job_summary import append_job_summary
from perflib.regression.alerts.junit import write_junit
from perflib.regression.alerts.lifecycle import is_open
from perflib.regression.alerts.message import subject
from perflib.regression.alerts.routes import Routes, parse_routes
from perflib.regression.changepoints.detect import scan
from perflib.regression.locks import read_lock
from perflib.regression.reruns import Bench
from perflib.results.regression import Alert, Check, Delivery
from perflib.runs import Run, find_run, open_run
from perflib.session import keep_figure
from perflib.watching.bench import Workbench
from perflib.watching.check import check_run
from perflib.watching.goods import keep_good, user_name
from perflib.watching.memory import leave_out, rebase
from perflib.watching.open import Watch, open_watch
from perflib.workloads import get_workload

ROUTES_FILE = "alerts.yaml"


@dataclasses.dataclass(frozen=True)
class CheckDone:
    """A check that was made, and what a person wants to read of it."""

    check: Check
    run: Run
    lines: tuple[str, ...]


def check_named(
    word: str | None,
    *,
    is_confirming: bool = True,
    is_again: bool = False,
    is_telling: bool = False,
    junit: Path | None = None,
) -> CheckDone:
    """
    Check a run, keep record and figures in it, and tell whoever is to be told.

    Args:
        word: A run folder or a run's name; None for the newest.
        is_confirming: Whether suspects are rerun beside the last good run.
        is_again: Whether what an open alert tells already is rerun too.
        is_telling: Whether open alerts are sent to their channels.
        junit: Where the series go as JUnit XML.

    Raises:
        ParameterError: If there is no such run, or `params/alerts.yaml` cannot be used.
        DataError: If the history or a record is damaged.
        SetupError: If the history cannot be reached.
    """
    run, routes = find_run(word), read_routes()
    with open_watch() as watch, host_lock():
        done = check_run(
            run,
            watch,
            make_bench=make_bench if is_confirming else None,
            is_again=is_again,
            owner_of=lambda alert: routes.route(alert).owner,
        )
        _keep_figures(run, watch, done.check)
        deliveries = _tell(watch, routes, done.alerts) if is_telling else ()
    if junit is not None:
        write_junit(done.check, junit)
    append_job_summary(done.check, done.alerts)
    return CheckDone(done.check, run, _lines(done.check, done.alerts, deliveries))


def _tell(watch: Watch, routes: Routes, alerts: tuple[Alert, ...]) -> tuple[Delivery, ...]:
    """Send what was found, and what an earlier check could not."""
    courier = Courier(watch.history, routes)
    return (*courier.deliver(alerts), *courier.deliver_pending())


def make_bench(run: Run) -> Bench:
    """Return the bench that reruns what a run measured; its records go into a folder of the run."""
    summary = run.summary()
    if summary is None:
        raise ParameterError(f"{run.folder} has no summary; name a folder that `perflib run` made.")
    workload = get_workload(summary.params["workload"], seed=int(summary.params.get("seed", 0)))
    workload.prepare()
    return Workbench(workload, here=read_lock(), run=Run(run.folder / "watch"))


def read_routes() -> Routes:
    """Read `params/alerts.yaml`; `ParameterError` for any mistake in it."""
    path = project.root() / "params" / ROUTES_FILE
    return parse_routes(read_yaml(path), source=str(path)) if path.is_file() else parse_routes({}, source=str(path))


def send_pending() -> list[str]:
    """Try again what did not arrive, and return a line for each message."""
    routes = read_routes()
    with open_watch() as watch:
        return [_delivery_line(one) for one in Courier(watch.history, routes).deliver_pending()]


def change_alert(ulid: str, action: str, *, reason: str, hours: float) -> str:
    """
    Acknowledge, accept, invalidate, close or snooze an alert, and return what it is now.

    An accepted change is the new normal: the run that was checked counts as good from then on. After a false alarm the
    level begins anew without being called good; what was mended is left out of every reference.

    Raises:
        ParameterError: If there is no such alert, the step is not possible, or a reason is missing.
    """
    who = user_name()
    with open_watch() as watch:
        if action == "snooze":
            until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=hours)
            changed = watch.book.snooze(ulid, until=until, who=who, reason=reason)
        else:
            changed = getattr(watch.book, action)(ulid, who=who, reason=reason)
        _remember(changed, action, watch)
    left = "" if is_open(changed) else ", closed"
    return f"{changed.ulid} is {changed.state}{left}: {subject(changed)}"


def _remember(alert: Alert, action: str, watch: Watch) -> None:
    """Let an answer count for the checks to come."""
    if action == "accept":
        _keep_accepted(alert, watch)
    elif action == "invalid":
        for one in alert.nominations:
            rebase(watch.history, one.series, one.since_run_ulid, reason=f"alert {alert.ulid} was a false alarm")
    elif action == "close":
        leave_out(watch.history, alert)


def _keep_accepted(alert: Alert, watch: Watch) -> None:
    folder = project.outputs_dir() / alert.run_id
    if folder.is_dir():
        for candidate in sorted({one.series.candidate for one in alert.nominations}):
            keep_good(open_run(folder), candidate, role="good", history=watch.history, kept=watch.kept)


def _keep_figures(run: Run, watch: Watch, check: Check) -> None:
    plots.use_house_style()
    keep_figure(run, plots.plot_watch(check), "watch")
    for nomination in check.nominations:
        points = watch.history.series(nomination.series)
        name = "-".join([nomination.series.candidate, nomination.series.scenario, nomination.series.metric])
        drawn = plots.plot_series(points, scan([point.value for point in points]), nomination=nomination)
        keep_figure(run, drawn, f"series-{name}")
    for one in check.confirmations:
        if one.reruns:
            keep_figure(run, plots.plot_confirmation(one), f"rerun-{one.candidate}-{one.family}")


def _lines(check: Check, alerts: tuple[Alert, ...], deliveries: tuple[Delivery, ...]) -> tuple[str, ...]:
    lines = [sentences.check_sentence(check)]
    lines += [sentences.nomination_sentence(one) for one in check.nominations]
    lines += [f"alert {alert.ulid}: {subject(alert)} ({alert.state})" for alert in alerts]
    return (*lines, *(_delivery_line(one) for one in deliveries))


def _delivery_line(one: Delivery) -> str:
    what = f"alert {one.alert_ulid} to {one.channel}: {one.status}"
    return f"{what} ({one.trouble})" if one.trouble else what
