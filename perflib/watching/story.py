"""
The story of one series for `notebooks/03_regression.ipynb`: its points, what the detector sees, what became of it.

    story = Story.begin("03_regression", workload="reviews-tiny", candidate="baseline", …)
    story.show(plots.plot_series(story.points, story.scan), "series")

A newcomer's history is short, so beside the real series there is a simulated one whose truth is known.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from IPython.display import HTML, Markdown, display
from matplotlib.figure import Figure

from perflib import machine, project, scraps
from perflib.errors import ParameterError, did_you_mean
from perflib.regression.changepoints.detect import scan
from perflib.results.history import METRICS, HistoryPoint, SeriesKey
from perflib.results.regression import Alert, Check, Nomination, SeriesScan
from perflib.runs import Run
from perflib.session import prepare_notebook, show_figure
from perflib.watching.dashboards import newest_checks
from perflib.watching.memory import excluded_runs, on_one_level, rebases
from perflib.watching.open import open_watch
from perflib.watching.series import check_series
from perflib.watching.simulated import Truth, simulate_series


@dataclasses.dataclass(frozen=True)
class Story:
    """One series, real, and one simulated."""

    run: Run
    key: SeriesKey
    points: tuple[HistoryPoint, ...]
    scan: SeriesScan
    nomination: Nomination | None
    alerts: tuple[Alert, ...]
    check: Check | None
    demo_points: tuple[HistoryPoint, ...]
    demo_scan: SeriesScan
    demo_truth: Truth

    @classmethod
    def begin(
        cls,
        notebook: str,
        *,
        run_dir: str = "",
        workload: str,
        candidate: str,
        scenario: str,
        metric: str,
        hardware_class: str = "",
        history_url: str = "",
        seed: int = 0,
    ) -> "Story":
        """
        Read a series and everything that was made of it.

        Raises:
            ParameterError: If there is no such metric.
            DataError: If the history is damaged.
            SetupError: If it cannot be reached.
        """
        prepare_notebook()
        if metric not in METRICS:
            raise ParameterError(f"metric `{metric}` is not known; {did_you_mean(metric, METRICS)}")
        here = hardware_class or machine.read_card().hardware_class
        key = SeriesKey(workload, candidate, scenario, metric, here)
        with open_watch(history_url or None) as watch:
            points = watch.history.series(key)
            excluded = excluded_runs(watch.history)
            sound = [one for one in points if one.mark is None and one.run_ulid not in excluded]
            level = on_one_level(sound, rebases(watch.history, watch.book, key))
            alerts = [one for one in watch.book.list() if key in {each.series for each in one.nominations}]
        demo = simulate_series(seed=seed)
        folder = Path(run_dir).resolve() if run_dir else project.new_run_dir(notebook)
        return cls(
            run=Run(folder),
            key=key,
            # What an excluded run measured is shown, as marked, and counts for nothing.
            points=tuple(_shown(point, excluded) for point in points),
            scan=_scan(sound),
            nomination=check_series(level, seed=seed).nomination if level else None,
            alerts=tuple(alerts),
            check=_newest_check(here),
            demo_points=tuple(demo),
            demo_scan=_scan(demo),
            demo_truth=Truth(),
        )

    def show(self, drawn: tuple[Figure, Any], name: str) -> None:
        """Keep a figure as SVG under its name, and show it with its text alternative."""
        show_figure(self.run, drawn, name)

    def show_table(self, html: str) -> None:
        """Show a table of `perflib.tables`."""
        display(HTML(html))

    def say(self, sentence: str) -> None:
        """Show a computed sentence."""
        display(Markdown(sentence))

    def finish(self) -> None:
        """Leave the scrap that says that the notebook ran to its end."""
        scraps.glue_complete(self.run.run_id)


def _shown(point: HistoryPoint, excluded: frozenset[str]) -> HistoryPoint:
    if point.mark is not None or point.run_ulid not in excluded:
        return point
    return dataclasses.replace(point, mark="left out: the rerun found nothing wrong with the model")


def _scan(points: Sequence[HistoryPoint]) -> SeriesScan:
    return scan([point.value for point in points])


def _newest_check(hardware_class: str) -> Check | None:
    """Return the check of the newest run of this machine's class that was checked; None if none was."""
    found = [check for check in newest_checks() if check.hardware_class == hardware_class]
    return max(found, key=lambda check: check.run_ulid, default=None)
