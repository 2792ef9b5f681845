"""The history for dashboards: the file that Prometheus scrapes, and the Grafana dashboard that asks about it."""

from importlib import resources
from pathlib import Path

from perflib import machine, project, records
from perflib.errors import DataError
from perflib.regression.metrics.export import write_metrics
from perflib.results.history import HistoryPoint
from perflib.results.regression import Check
from perflib.runs import Run
from perflib.watching.goods import promotions
from perflib.watching.open import open_watch
from perflib.watching.provenance import NAME

# Runs whose checks are looked at; of each workload and machine the newest counts.
_CHECKS_COUNT = 200


def metrics_file() -> Path:
    """Return where the metrics are written."""
    return project.outputs_dir() / "history" / "metrics.txt"


def write_metrics_file(path: Path | None = None) -> Path:
    """
    Write the newest point of every series, the newest checks, and all alerts, as OpenMetrics text.

    Raises:
        DataError: If the history is damaged, or the file cannot be written.
        SetupError: If the history cannot be reached.
    """
    card = machine.read_card()
    with open_watch() as watch:
        keys = watch.history.keys()
        newest: list[HistoryPoint] = [point for key in keys for point in watch.history.series(key, last_count=1)]
        alerts = watch.book.list()
    return write_metrics(
        path or metrics_file(),
        newest,
        checks=newest_checks(),
        alerts=alerts,
        promotions=promotions(),
        core_counts={card.hardware_class: card.core_count},
    )


def write_dashboard(path: Path) -> Path:
    """Write the Grafana dashboard as JSON; import it there."""
    content = resources.files("perflib").joinpath("templates", "grafana", "perflib.json").read_bytes()
    records.write_bytes(path, content)
    return path


def newest_checks() -> list[Check]:
    """Return the checks of the newest runs, oldest first."""
    found: list[Check] = []
    folders = sorted(path.parent.parent for path in project.outputs_dir().glob(f"*/records/check-{NAME}.json"))
    for folder in folders[-_CHECKS_COUNT:]:
        try:
            check = Run(folder).read(Check, NAME)
        except DataError:
            continue  # a record of another version says nothing to a dashboard
        if check is not None:
            found.append(check)
    return found
