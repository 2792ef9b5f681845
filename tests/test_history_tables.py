"""Tables of the watch: one row for each finding, what is unknown a dash, and nothing that a person wrote is markup."""

import dataclasses
import re
from typing import Any

from perflib.results.history import SeriesKey
from perflib.results.regression import AlertEvent, ChangePoint, Culprit, Rerun, SeriesScan
from perflib.results.speed import Interval
from perflib.tables.history import alerts_table, change_points_table, confirmation_table, series_table
from tests.synthetic_history import (
    make_alert,
    make_check,
    make_confirmation,
    make_nomination,
    make_points,
    make_series,
    run_id,
)

KEY = SeriesKey("reviews-tiny", "int8", "single", "p50_sec", "any")
SHIFT = Interval(1.1, 1.08, 1.12, 0.95)
STEP = ChangePoint(2, "segment", SHIFT, 2, 3)


def rows_of(whole: str) -> list[list[str]]:
    """Return the words of every cell of the body, without markup inside."""
    body = whole.split("<tbody>")[1]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", body)
    return [[re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


def test_series_that_moved_stand_first() -> None:
    """With state, shift, noise and what would show; an exact metric has its own limit."""
    rows = rows_of(series_table(make_check(is_worse=True)))
    by_name = {row[0]: row[1:] for row in rows}

    assert len(rows) == 18
    assert rows[0][0] == "int8 single p50_sec"
    assert rows[0][2:] == ["nominated", "+10.0 % [7.8, 12.2] (95 %), worse", "1.0 %", "5.0 %", "30"]
    assert by_name["baseline size_bytes"] == ["1.20 MB", "quiet", "–", "–", "more than 1.0 %", "30"]
    assert by_name["baseline accuracy_ratio"][4] == "more than 0.5 pp"


def test_a_short_series_shows_no_step() -> None:
    """It has too few runs, which is not the same as no change."""
    check = make_check(make_points(run_count=1))
    some = tuple(dataclasses.replace(one, visible_effect_ratio=None, noise_ratio=None) for one in check.series)
    rows = {row[0]: row[1:] for row in rows_of(series_table(dataclasses.replace(check, series=some)))}

    assert rows["int8 single p50_sec"][3:] == ["–", "too few runs", "1"]


def test_quiet_rows_stand_behind_only_where_something_moved() -> None:
    """Otherwise everything would be grey."""
    assert series_table(make_check(is_worse=True)).count('class="quiet"') == 17
    assert series_table(make_check()).count('<tr class="quiet"') == 0


def test_a_change_of_level_says_what_changed_with_it() -> None:
    """Digests of both runs beside the change are compared, in the order of the components."""
    points = list(make_series([0.001, 0.001, 0.0011, 0.0011, 0.0011]))
    points[2] = dataclasses.replace(points[2], lock_sha256="other", artifact_sha256="other", driver="550")
    whole = change_points_table(points, SeriesScan(5, 0.01, 0.0, (), (STEP,), (0.001, 0.0011)))

    assert rows_of(whole) == [
        [
            run_id(2),
            "+10.0 % [8.0, 12.0] (95 %), worse",
            "1.00 ms",
            "1.10 ms",
            "2 / 3",
            "segment",
            "artifact, lock, commit, driver",
        ]
    ]
    assert "noise of a run 1.0 %" in whole


def test_the_run_before_a_change_is_the_last_one_that_was_scanned() -> None:
    """A marked run between is no neighbour."""
    points = list(make_series([0.001, 0.001, 0.002, 0.0011, 0.0011, 0.0011]))
    points = [dataclasses.replace(point, commit="same") for point in points]
    points[2] = dataclasses.replace(points[2], mark="quarantined", lock_sha256="other")
    (row,) = rows_of(change_points_table(points, SeriesScan(5, 0.01, 0.0, (), (STEP,), (0.001, 0.0011))))

    assert row[0] == run_id(3)
    assert row[-1] == "nothing that is recorded"


def test_without_runs_or_changes_there_is_a_sentence() -> None:
    """No table without rows."""
    nothing = SeriesScan(0, 0.0, 0.0, (), (), ())
    quiet = SeriesScan(3, 0.01, 0.0, (), (), (0.001,))

    assert change_points_table((), nothing) == "<p>The series has no run yet.</p>"
    assert "No change of level in 3 runs" in change_points_table(make_series([0.001] * 3), quiet)
    assert confirmation_table(()) == "<p>Nothing was run again.</p>"
    assert alerts_table(()) == "<p>There is no alert.</p>"


def rerun(*swapped: Any, is_worse: bool | None, ratio: Interval | None, evidence: float | None = None) -> Rerun:
    """Return a rerun with these parts of the suspect."""
    return Rerun(swapped, None, is_worse, ratio, evidence, "8 lives & more")


def test_every_rerun_has_a_row_below_its_verdict() -> None:
    """Decided or not, with figure and evidence, or a dash."""
    one = make_confirmation(
        make_nomination(KEY),
        culprits=(Culprit("lock", "torch 2.12 -> 2.13", SHIFT),),
        ratio=SHIFT,
        reruns=(
            rerun("artifact", "lock", is_worse=True, ratio=SHIFT, evidence=240.0),
            rerun("artifact", is_worse=False, ratio=Interval(1.0, None, None, 0.98), evidence=0.2),
            rerun("parameters", is_worse=None, ratio=None),
        ),
    )
    whole = confirmation_table([one])
    verdict, *rest = rows_of(whole)

    assert verdict[:5] == ["int8", "speed", "all", "CONFIRMED", "1.10× [1.08, 1.12] (95 %)"]
    assert verdict[6].endswith("Cause: lock (torch 2.12 -&gt; 2.13).")
    assert [row[2:6] for row in rest] == [
        ["artifact + lock", "worse", "1.10× [1.08, 1.12] (95 %)", "240"],
        ["artifact", "not worse", "1.00×", "0.2"],
        ["parameters", "not decided", "–", "–"],
    ]
    assert whole.count('class="baseline"') == 1
    assert run_id(24) in whole


def test_a_cause_that_the_sentence_names_is_not_told_twice() -> None:
    """The watch's own sentences end with the cause."""
    one = make_confirmation(make_nomination(KEY), sentence="the cause is the artifact (x)")
    culprits = (Culprit("artifact", "x", SHIFT),)

    assert "Cause:" not in confirmation_table([dataclasses.replace(one, culprits=culprits)])


def test_alerts_are_listed_newest_first() -> None:
    """What moved, since when, on what, whose it is and what happened last."""
    many = [make_nomination(dataclasses.replace(KEY, metric=name)) for name in ("p50_sec", "p95_sec", "load_sec")]
    alerts = [make_alert(index=1), make_alert([*many, *many], index=2, owner=None, state="ACKED")]
    newest, older = rows_of(alerts_table(alerts))

    assert [newest[0], older[0]] == [alerts[1].ulid, alerts[0].ulid]
    assert newest[1] == "ACKED"
    assert newest[2].endswith("and 3 more")
    assert newest[5] == "nobody"
    assert older[3] == f"{run_id(25)}(last good {run_id(24)})"
    assert older[6] == "2026-03-26 08:10 perflib: confirmed by a paired rerun."


def test_what_people_wrote_is_no_markup() -> None:
    """Names, reasons, owners, machines and sentences of files."""
    bad = "<script>x</script>"
    event = AlertEvent("2026-03-26T08:10:00+00:00", bad, "OPEN", bad)
    key = dataclasses.replace(KEY, candidate=bad)
    nominated = dataclasses.replace(make_nomination(key), since_run_id=bad, good_run_id=bad)
    confirmed = make_confirmation(nominated, sentence=bad, culprits=(Culprit("lock", bad, None),))
    points = [dataclasses.replace(point, run_id=bad, candidate=bad) for point in make_series([0.001] * 5)]
    scan = SeriesScan(5, 0.01, 0.0, (), (STEP,), (0.001, 0.0011))
    check = make_check(machine=bad, run_id=bad)
    check = dataclasses.replace(check, series=(dataclasses.replace(check.series[0], series=key),))
    alert = make_alert([nominated], events=(event,), owner=bad, machine=bad)

    for whole in (
        alerts_table([alert]),
        confirmation_table([confirmed]),
        change_points_table(points, scan),
        series_table(check),
    ):
        assert "<script>" not in whole
        assert "&lt;script&gt;" in whole


def test_an_alert_without_events_has_a_dash() -> None:
    """Unknown is a dash."""
    assert rows_of(alerts_table([make_alert(events=())]))[0][6] == "–"
