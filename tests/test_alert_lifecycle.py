"""How an alert moves, falls silent and becomes one with another; and whose turn it is."""

import datetime
import threading
from typing import Any, get_args

import pytest

from perflib.errors import DataError, ParameterError, SetupError
from perflib.records import dumps, loads
from perflib.regression.alerts import lifecycle
from perflib.regression.alerts.documents import TURN_SEC, TURNS, file_once, named_ulid, turn
from perflib.regression.alerts.merging import adds_nothing, find_overlapping, merge, overlaps, series_of
from perflib.results.regression import Alert, AlertEvent, AlertState
from tests.alert_records import (
    NOON,
    HandClock,
    MemoryStore,
    make_alert,
    make_confirmation,
    make_key,
    make_nomination,
    run_ulid,
)

STATES: tuple[AlertState, ...] = get_args(AlertState)
ENDS = ("FIXED", "ACCEPTED", "INVALID", "MACHINE", "DOWNSTREAM")
ALLOWED = {
    ("NOMINATED", "CONFIRMING"),
    ("NOMINATED", "INVALID"),
    ("NOMINATED", "MACHINE"),
    ("CONFIRMING", "OPEN"),
    ("CONFIRMING", "NOMINATED"),
    ("CONFIRMING", "INVALID"),
    ("CONFIRMING", "MACHINE"),
    ("OPEN", "ACKED"),
    *(("OPEN", end) for end in ENDS),
    *(("ACKED", end) for end in ENDS),
}
SOON = NOON + datetime.timedelta(hours=1)


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_every_transition_is_allowed_or_refused(before: AlertState, after: AlertState) -> None:
    """Those in the table work and leave an event; all others are one sentence that names both states."""
    alert = make_alert(state=before)
    if (before, after) in ALLOWED:
        moved = lifecycle.move(alert, after, who="ada", reason="because", now=SOON)

        assert moved.state == after
        assert moved.events == (*alert.events, AlertEvent("2026-11-23T13:00:00+00:00", "ada", after, "because"))
        return
    with pytest.raises(ParameterError) as caught:
        lifecycle.move(alert, after, who="ada", reason="because", now=SOON)

    assert f"is {before}" in str(caught.value)
    assert after in str(caught.value)
    for following in (end for start, end in ALLOWED if start == before):
        assert following in str(caught.value)


@pytest.mark.parametrize("state", STATES)
def test_whoever_accepts_or_rejects_says_why(state: AlertState) -> None:
    """Blanks are no reason; the other states need none."""
    alert = make_alert(state="CONFIRMING" if state in ("OPEN", "NOMINATED") else "OPEN")
    if state in ("ACCEPTED", "INVALID"):
        with pytest.raises(ParameterError, match="without a reason"):
            lifecycle.move(alert, state, who="ada", reason="  ", now=SOON)
    elif state != "CONFIRMING":
        assert lifecycle.move(alert, state, who="ada", now=SOON).state == state


def test_a_snooze_expires_by_itself() -> None:
    """It is silent until the moment, and at it no more."""
    until = NOON + datetime.timedelta(hours=2)
    alert = lifecycle.snooze(make_alert(), until, who="ada", now=NOON)

    assert lifecycle.is_snoozed(alert, until - datetime.timedelta(seconds=1))
    assert not lifecycle.is_snoozed(alert, until)
    assert not lifecycle.is_snoozed(make_alert(), NOON)
    assert alert.state == "OPEN"
    assert alert.events[-1].who == "ada"


@pytest.mark.parametrize(
    ("state", "until", "words"),
    [
        ("FIXED", SOON, "closed"),
        ("OPEN", NOON, "not in the future"),
        ("OPEN", SOON.replace(tzinfo=None), "no time zone"),
    ],
)
def test_a_snooze_that_means_nothing_is_refused(state: AlertState, until: datetime.datetime, words: str) -> None:
    """A closed alert, a moment that is past, a time that could be any."""
    with pytest.raises(ParameterError, match=words):
        lifecycle.snooze(make_alert(state=state), until, who="ada", now=NOON)


def test_the_present_state_began_with_its_first_event() -> None:
    """A snooze in between does not make it younger."""
    alert = lifecycle.snooze(make_alert(), SOON, who="ada", now=NOON + datetime.timedelta(minutes=5))
    acked = lifecycle.move(alert, "ACKED", who="ada", now=SOON)

    assert lifecycle.entered(alert) == NOON.isoformat()
    assert lifecycle.entered(acked) == SOON.isoformat()


def test_an_alert_is_one_line_of_json_that_reads_back() -> None:
    """Line breaks in names stay inside their strings."""
    alert = make_alert(machine="a\nb\u2028::error::c", owner='"\r\n')
    line = dumps(alert.to_dict())

    assert "\n" not in line
    assert "\r" not in line
    assert Alert.from_dict(loads(line)) == alert


# --- merging ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ((5, 6), (5, 6), True),
        ((1, 6), (5, 9), True),
        ((5, 9), (1, 6), True),
        ((1, 5), (5, 9), False),  # the run 5 is bad for one and good for the other
        ((1, 6), (5, 6), True),
        ((1, 2), (8, 9), False),
    ],
)
def test_ranges_overlap_where_one_run_may_be_to_blame_for_both(
    first: tuple[int, int], second: tuple[int, int], is_one: bool
) -> None:
    """Ranges are open at the good end and closed at the other; counted by hand."""
    runs = [set(range(good + 1, since + 1)) for good, since in (first, second)]

    assert bool(runs[0] & runs[1]) == is_one
    assert overlaps(*(make_alert(good=good, since=since) for good, since in (first, second))) == is_one


@pytest.mark.parametrize("field", [{"workload": "other"}, {"hardware_class": "other"}, {"kind": "benchmark"}])
def test_alerts_of_different_places_stay_apart(field: dict[str, Any]) -> None:
    """Another workload, another class of machines, or the benchmark itself."""
    assert not overlaps(make_alert(), make_alert(**field))


def test_merging_joins_what_both_say() -> None:
    """Series and reruns of both, the narrower range, the older ulid, the newer run; the order does not matter."""
    size = make_nomination(make_key("size_bytes", scenario="all"), good=4, since=8)
    newer_p50 = make_nomination(good=4, since=8, after_value=0.015)
    older = make_alert("01A", good=2, since=7)
    younger = make_alert(
        "01B",
        good=4,
        since=8,
        state="ACKED",
        nominations=(newer_p50, size),
        confirmations=(
            make_confirmation(verdict="INCONCLUSIVE"),
            make_confirmation(family="size", verdict="CONFIRMED"),
        ),
    )
    merged = merge(older, younger)

    assert merged == merge(younger, older)
    assert merged.ulid == "01A"
    assert merged.state == "ACKED"
    assert (merged.good_run_ulid, merged.since_run_ulid) == (run_ulid(4), run_ulid(7))
    assert (merged.good_run_id, merged.since_run_id, merged.run_id) == ("run-4", "run-7", "run-8")
    assert merged.nominations == (newer_p50, size)
    assert [(one.family, one.verdict) for one in merged.confirmations] == [
        ("speed", "CONFIRMED"),
        ("size", "CONFIRMED"),
    ]
    assert merged.events == (*older.events, *younger.events)


def test_merging_the_same_alert_changes_nothing() -> None:
    """Neither content nor events double."""
    alert = make_alert()

    assert merge(alert, alert) == alert
    assert adds_nothing(alert, alert)


@pytest.mark.parametrize(
    "new",
    [
        make_alert(nominations=(make_nomination(make_key("p95_sec")),)),
        make_alert(confirmations=(make_confirmation(family="memory"),)),
        make_alert(state="ACKED"),
        make_alert(good=5, since=5),
        make_alert(good=6, since=6),
    ],
    ids=["a series", "a verdict", "a state", "an earlier end", "a later start"],
)
def test_what_an_alert_does_not_tell_yet_is_seen(new: Alert) -> None:
    """Each of these is news."""
    assert not adds_nothing(make_alert(), new)


def test_overlapping_alerts_that_share_a_series_come_first() -> None:
    """Then the oldest; closed ones and others do not count."""
    other_series = make_alert("01A", nominations=(make_nomination(make_key("load_sec")),))
    same_series, same_but_younger = make_alert("01C"), make_alert("01D")
    closed, elsewhere = make_alert("01B", state="FIXED"), make_alert("01E", good=8, since=9)
    alerts = (same_but_younger, closed, elsewhere, other_series, same_series)

    assert [one.ulid for one in find_overlapping(alerts, make_alert("01F"))] == ["01C", "01D", "01A"]
    assert series_of(other_series) == {make_key("load_sec")}


# --- turns ------------------------------------------------------------------------------------------------------


def test_a_turn_is_for_one_at_a_time() -> None:
    """Eight threads count without a lock of their own, and lose nothing."""
    store, counted = MemoryStore(), [0]

    def count() -> None:
        for _ in range(5):
            with turn(store, "here"):
                before = counted[0]
                threading.Event().wait(0.001)
                counted[0] = before + 1

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counted == [40]


def test_a_turn_is_given_back_after_an_error_and_expires_after_a_death() -> None:
    """Nobody waits for ever for somebody who is gone."""
    store, hand = MemoryStore(), HandClock()
    with pytest.raises(DataError), turn(store, "here", now=hand.now, sleep=hand.sleep):
        raise DataError("broken")
    dead = turn(store, "here", now=hand.now, sleep=hand.sleep)
    dead.__enter__()
    with turn(store, "here", now=hand.now, sleep=hand.sleep):
        pass

    assert TURN_SEC <= hand.passed_sec < TURN_SEC + 1


def test_a_turn_that_never_ends_is_reported() -> None:
    """Where the clock stands still, waiting ends all the same."""
    store, hand = MemoryStore(), HandClock()
    held = turn(store, "here", now=hand.now)
    held.__enter__()
    with (
        pytest.raises(SetupError, match="another process"),
        turn(store, "here", now=lambda: NOON, sleep=lambda _: None),
    ):
        pass


def test_the_first_of_two_filings_stays() -> None:
    """Also where both looked before either wrote."""
    store = MemoryStore()
    file_once(store, TURNS, "01A", {"from": "first"})
    blind = MemoryStore()
    blind.texts = store.texts
    looks = iter([None])
    blind.document = lambda kind, ulid: next(looks, MemoryStore.document(blind, kind, ulid))  # type: ignore[method-assign]
    file_once(blind, TURNS, "01A", {"from": "second"})

    assert store.document(TURNS, "01A") == {"from": "first"}
    assert named_ulid("a", "b") == named_ulid("a", "b") != named_ulid("ab", "")
