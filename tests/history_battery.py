"""
What a history promises, asked of any database: `test_history.py` asks SQLite, `test_history_postgres.py` a server.

A battery class has a fixture ``url``, a new and empty database for each test.
"""

import dataclasses
import datetime
import math
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perflib.errors import DataError
from perflib.regression.history.exchange import export_history, import_history, rows_of
from perflib.regression.history.store import History, open_history
from perflib.regression.history.verify import verify_history
from perflib.results.history import HistoryPoint, SeriesKey
from tests.history_writer import start_writer
from tests.synthetic_history import (
    DAY,
    FIRST_RUN,
    HARDWARE_CLASS,
    WORKLOAD,
    make_point,
    make_points,
    make_series,
    run_ulid,
)
from tests.test_kept import make_good

KEY = SeriesKey(WORKLOAD, "int8", "single", "p50_sec", HARDWARE_CLASS)
# Names and values that a database, a file or a query could mistake for something else.
AWKWARD_WORDS = (
    "O'Neill; DROP TABLE result; --",
    'a "quoted", comma',
    "two\nlines",
    "a\rreturn",
    "both\r\nends",
    "tab\tand  spaces ",
    "Größe 模型 🙂 é e\u0301",
    "NULL",
    "nan",
    "0012",
    "1e5",
    "=1+1",
    "%s :name {0} \\",
)
AWKWARD_VALUES = (1e-300, 5e-324, 0.1 + 0.2, 1 / 3, math.pi * 1e18, 1.7976931348623157e308, 2.0**53 + 2, 7)


def awkward_points() -> list[HistoryPoint]:
    """Return one run of results whose words and values are easily mistaken, the same each time."""
    dice, points = random.Random(5), []
    for number, word in enumerate(AWKWARD_WORDS):
        for metric in ("p50_sec", "load_sec"):
            value = AWKWARD_VALUES[(number + len(metric)) % len(AWKWARD_VALUES)]
            key = SeriesKey(word, AWKWARD_WORDS[number - 1], "single", metric, HARDWARE_CLASS)
            optional = dice.choice((None, word))
            points.append(make_point(key, float(value), driver=optional, mark=word, operating_system=word))
    return points


def noon_of(index: int) -> Callable[[], datetime.datetime]:
    """Return a clock that stands at noon of the day of a run."""
    return lambda: FIRST_RUN + index * DAY + datetime.timedelta(hours=4)


def one_run(index: int, value: float = 0.001, **change: Any) -> HistoryPoint:
    """Return the only result of a run."""
    return make_point(KEY, value, index, **change)


def ulids(history: History, **asked: Any) -> list[str]:
    """Return the runs of the series, in the order lived."""
    return [point.run_ulid for point in history.series(KEY, **asked)]


class Results:
    """Appending and reading."""

    def test_what_was_appended_is_read_again(self, url: str) -> None:
        """Every series, oldest run first, in another process's connection too."""
        points = make_points(run_count=5, marked=(2,))
        with open_history(url) as history:
            assert history.append(points) == len(points)
        with open_history(url) as history:
            assert history.count() == len(points)
            assert history.keys() == sorted({point.key for point in points})
            keys = history.keys()
            for key in keys:
                assert history.series(key) == [point for point in points if point.key == key]
            assert history.run_points(run_ulid(3)) == [one for one in points if one.run_ulid == run_ulid(3)]
            assert history.run_points(run_ulid(77)) == []
            assert verify_history(history) == []

    def test_awkward_words_and_values_come_back_as_they_were(self, url: str) -> None:
        """To the last bit and character."""
        points = awkward_points()
        with open_history(url) as history:
            history.append(points)
            assert history.run_points(run_ulid(0)) == points
            assert all(history.series(point.key) == [point] for point in points)
            assert verify_history(history) == []

    def test_an_append_twice_is_one(self, url: str) -> None:
        """Also in parts, and together with what is new."""
        points = make_points(run_count=1)
        with open_history(url) as history:
            assert history.append(points[:5]) == 5
            assert history.append(points[:5]) == 0
            assert history.append([*points, points[0]]) == len(points) - 5
            assert history.append([]) == 0
            assert history.run_points(run_ulid(0)) == list(points)
            assert verify_history(history) == []

    @pytest.mark.parametrize("change", [{"value": 0.002}, {"artifact_sha256": "f" * 64}, {"mark": "hot"}])
    def test_another_content_of_the_same_result_is_refused(self, url: str, change: dict[str, Any]) -> None:
        """And what came with it is not written."""
        with open_history(url) as history:
            history.append([one_run(0)])
            other = make_point(dataclasses.replace(KEY, metric="load_sec"), 1.0)
            with pytest.raises(DataError, match="has p50_sec of int8 already, with another value"):
                history.append([other, one_run(0, **{"value": 0.001} | change)])
            assert history.run_points(run_ulid(0)) == [one_run(0)]
            assert verify_history(history) == []

    @pytest.mark.parametrize(
        "change",
        [
            *({"value": value} for value in (math.nan, math.inf, -math.inf, 0.0, -0.0, -1e-9, "1", None, 10**400)),
            {"unit": "ms"},
            {"metric": "p51_sec"},
            *({"run_ulid": word} for word in ("", "run-1", "0" * 25, run_ulid(0).lower(), "7" + "Z" * 25, None)),
            {"candidate": None},
            {"candidate": "a\0b"},
            {"candidate": "half \ud800"},
        ],
    )
    def test_what_is_no_result_is_refused_and_nothing_of_its_run_written(
        self, url: str, change: dict[str, Any]
    ) -> None:
        """One bad result among good ones leaves the history as it was."""
        with open_history(url) as history:
            good = make_point(dataclasses.replace(KEY, metric="load_sec"), 1.0)
            with pytest.raises(DataError):
                history.append([good, dataclasses.replace(one_run(0), **change)])
            assert history.count() == 0
            assert verify_history(history) == []

    def test_a_share_may_be_nothing_and_a_count_whole(self, url: str) -> None:
        """0 right answers are a result, also as -0.0; a size is an int and stays equal."""
        shares = [make_point(dataclasses.replace(KEY, metric="accuracy_ratio", scenario="all"), 0.0)]
        shares += [dataclasses.replace(shares[0], candidate="negative", value=-0.0)]
        size = make_point(dataclasses.replace(KEY, metric="size_bytes", scenario="all"), 342_016)
        with open_history(url) as history:
            history.append([*shares, size])
            assert history.append([*shares, size]) == 0
            assert [point.value for point in history.run_points(run_ulid(0))] == [0.0, 0.0, 342_016]
            assert verify_history(history) == []

    def test_the_last_ones_and_the_sound_ones(self, url: str) -> None:
        """``last_count`` counts the newest, after the marked ones are left out; 512 unless told."""
        points = make_series([0.001] * 8)
        points = tuple(dataclasses.replace(one, mark="hot" if at in (3, 7) else None) for at, one in enumerate(points))
        with open_history(url) as history:
            history.append(points)
            assert history.series(KEY, last_count=3) == list(points[5:])
            assert history.series(KEY, last_count=3, with_marked=False) == [points[4], points[5], points[6]]
            assert ulids(history, last_count=None) == [run_ulid(index) for index in range(8)]
            history.append(make_series([0.001] * 520)[8:])
            assert len(history.series(KEY)) == 512
            assert len(history.series(KEY, last_count=None)) == 520

    def test_only_the_runs_before_one(self, url: str) -> None:
        """The run itself is left out, and so is what came later."""
        with open_history(url) as history:
            history.append(make_series([0.001] * 6))
            assert ulids(history, before_run_ulid=run_ulid(4)) == [run_ulid(index) for index in range(4)]
            assert ulids(history, before_run_ulid=run_ulid(4), last_count=2) == [run_ulid(2), run_ulid(3)]
            assert ulids(history, before_run_ulid=run_ulid(0)) == []
            assert len(ulids(history, before_run_ulid=run_ulid(9))) == 6

    def test_keys_of_a_class_and_of_a_workload(self, url: str) -> None:
        """Each filter alone and both."""
        with open_history(url) as history:
            for place, (workload, hardware_class) in enumerate((("a", "x"), ("a", "y"), ("b", "y"))):
                key = dataclasses.replace(KEY, workload=workload, hardware_class=hardware_class)
                history.append([make_point(key, 0.001, place)])
            assert len(history.keys()) == 3
            assert [(key.workload, key.hardware_class) for key in history.keys(workload="a")] == [
                ("a", "x"),
                ("a", "y"),
            ]
            assert [key.workload for key in history.keys(hardware_class="y")] == ["a", "b"]
            assert [key.workload for key in history.keys(hardware_class="y", workload="b")] == ["b"]
            assert history.keys(hardware_class="z") == []

    def test_the_newest_run_of_a_workload_on_a_class(self, url: str) -> None:
        """Not that of another class or workload."""
        with open_history(url) as history:
            history.append(make_series([0.001] * 3))
            history.append(make_series([0.001] * 5, workload="other")[4:])
            history.append(make_series([0.001] * 7, hardware_class="other")[6:])
            assert history.newest_run_ulid(HARDWARE_CLASS, WORKLOAD) == run_ulid(2)
            assert history.newest_run_ulid(HARDWARE_CLASS, WORKLOAD, before=run_ulid(2)) == run_ulid(1)
            assert history.newest_run_ulid(HARDWARE_CLASS, WORKLOAD, before=run_ulid(0)) is None
            assert history.newest_run_ulid(HARDWARE_CLASS, "none") is None


class Order:
    """The order lived, whatever the clock says."""

    def test_a_clock_that_was_set_back_keeps_the_order(self, url: str) -> None:
        """Run 10, then runs that believe it is day 3: they stand behind it, in the order of their appends."""
        with open_history(url, now=noon_of(10)) as history:
            history.append([one_run(10)])
        with open_history(url, now=noon_of(3)) as history:
            history.append([one_run(3)])
            assert ulids(history, before_run_ulid=run_ulid(2)) == [run_ulid(10), run_ulid(3)]
            history.append([one_run(2)])
            assert ulids(history, before_run_ulid=run_ulid(3)) == [run_ulid(10)]
            assert history.newest_run_ulid(HARDWARE_CLASS, WORKLOAD) == run_ulid(2)
        with open_history(url, now=noon_of(11)) as history:
            history.append([one_run(11)])
            assert ulids(history) == [run_ulid(index) for index in (10, 3, 2, 11)]
            # More results of a run stand where it stands.
            history.append([make_point(dataclasses.replace(KEY, candidate="other"), 0.001, 3)])
            places = {row["order_ulid"] for row in rows_of(history) if row["run_ulid"] == run_ulid(3)}
            assert len(places) == 1
            assert min(places) > run_ulid(10)
            assert verify_history(history) == []

    @pytest.mark.parametrize("suffix", [".csv", ".parquet"])
    def test_the_order_lived_travels_with_a_file(self, url: str, tmp_path: Path, suffix: str) -> None:
        """What another store learns is the order too, though its own clock is right."""
        with open_history(url, now=noon_of(3)) as history:
            history.append([one_run(10)])
            history.append([one_run(3)])
            export_history(history, tmp_path / f"all{suffix}")
        with open_history(f"sqlite:///{tmp_path / 'other.sqlite'}", now=noon_of(12)) as other:
            import_history(other, tmp_path / f"all{suffix}")
            assert ulids(other) == [run_ulid(10), run_ulid(3)]

    def test_an_older_run_that_is_added_late_gets_its_own_place(self, url: str) -> None:
        """The clock is right, so its ulid is."""
        with open_history(url, now=noon_of(10)) as history:
            history.append([one_run(10)])
            history.append([one_run(3)])
            assert ulids(history) == [run_ulid(3), run_ulid(10)]

    def test_the_wrong_clock_of_one_host_moves_no_other(self, url: str) -> None:
        """A host in the future stands last; a sound one goes on by its own ulids."""
        with open_history(url, now=noon_of(3)) as history:
            history.append([one_run(10, host_id="ahead")])
            history.append([one_run(2)])
            history.append([one_run(3)])
            assert ulids(history) == [run_ulid(2), run_ulid(3), run_ulid(10)]


class Goods:
    """What was good."""

    def test_goods_are_remembered_once_and_forgotten(self, url: str) -> None:
        """Oldest first, by workload, candidate and class."""
        first, second = make_good(1), make_good(2, candidate="other", workload="w", hardware_class="h")
        with open_history(url) as history:
            for one in (second, first, first):
                history.put_good(one)
            assert history.goods() == [first, second]
            assert history.goods("reviews") == [first]
            assert history.goods(candidate="other") == [second]
            assert history.goods(hardware_class="h") == [second]
            assert history.goods("reviews", "other") == []
            history.drop_good(first)
            history.drop_good(first)
            assert history.goods() == [second]
            assert verify_history(history) == []


class Documents:
    """Documents, such as alerts."""

    def test_documents_are_filed_in_the_order_of_their_ulids(self, url: str) -> None:
        """Each kind for itself; what is not there is None."""
        with open_history(url) as history:
            for index in (2, 0, 1):
                history.put_document("alert", run_ulid(index), {"index": index, "words": list(AWKWARD_WORDS)})
            history.put_document("check", run_ulid(0), {"index": 9})
            assert [one["index"] for one in history.documents("alert")] == [0, 1, 2]
            assert history.document("alert", run_ulid(2)) == {"index": 2, "words": list(AWKWARD_WORDS)}
            assert history.document("check", run_ulid(0)) == {"index": 9}
            assert history.document("alert", run_ulid(3)) is None
            assert history.documents("none") == []
            assert verify_history(history) == []

    def test_a_taken_ulid_is_refused_and_the_old_one_stays(self, url: str) -> None:
        """Also with the same content: who files twice has not looked."""
        with open_history(url) as history:
            history.put_document("alert", run_ulid(0), {"count": 1})
            for data in ({"count": 2}, {"count": 1}):
                with pytest.raises(DataError, match="filed already"):
                    history.put_document("alert", run_ulid(0), data)
            assert history.documents("alert") == [{"count": 1}]

    def test_a_change_that_fails_leaves_the_old_one(self, url: str) -> None:
        """What it raised comes through, and the next change works."""
        with open_history(url) as history:
            history.put_document("alert", run_ulid(0), {"count": 1})

            def fail(data: dict[str, Any]) -> dict[str, Any]:
                data["count"] = 5
                raise KeyError("state")

            with pytest.raises(KeyError, match="state"):
                history.update_document("alert", run_ulid(0), fail)
            with pytest.raises(DataError):
                history.update_document("alert", run_ulid(0), lambda data: {"count": math.nan})
            assert history.document("alert", run_ulid(0)) == {"count": 1}
            with pytest.raises(DataError, match="no alert"):
                history.update_document("alert", run_ulid(1), lambda data: data)
            assert history.update_document("alert", run_ulid(0), lambda data: {"count": 2}) == {"count": 2}
            assert history.document("alert", run_ulid(0)) == {"count": 2}

    def test_no_update_is_lost_between_threads(self, url: str) -> None:
        """Four threads count one counter up, 25 times each."""
        with open_history(url) as history:
            history.put_document("counter", run_ulid(0), {"count": 0})

            def count_up() -> None:
                for _ in range(25):
                    history.update_document("counter", run_ulid(0), lambda data: {"count": data["count"] + 1})

            threads = [threading.Thread(target=count_up) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert history.document("counter", run_ulid(0)) == {"count": 100}
            assert verify_history(history) == []


class Concurrency:
    """Several at once."""

    def test_two_processes_that_add_to_one_run_leave_its_digest_right(self, url: str) -> None:
        """Each result of the run comes from another writer; the digest of the run covers all."""
        run = make_points(run_count=1)
        with open_history(url) as history:
            threads = [threading.Thread(target=history.append, args=([point],)) for point in run]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert history.count() == len(run)
            assert verify_history(history) == []

    def test_a_verify_during_appends_finds_nothing(self, url: str) -> None:
        """A reader sees one moment: an append between two of its questions is no damage."""
        with open_history(url) as history:
            with start_writer(url, 1, 60) as process:
                assert process.stdout is not None
                process.stdout.readline()
                found = [verify_history(history)]
                while process.poll() is None:
                    found.append(verify_history(history))
            assert process.returncode == 0
            assert [one for one in found if one] == []
            assert history.count() == 120
