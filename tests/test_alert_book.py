"""The book of alerts: what is raised once, what is found again, and what follows from people's answers."""

import dataclasses
import datetime
import threading

import pytest

from perflib.errors import ParameterError
from perflib.regression.alerts.book import WATCH, AlertBook
from perflib.results.regression import Alert
from tests.alert_records import NOON, ULID, HandClock, MemoryStore, make_alert, make_key, make_nomination, run_ulid

P95 = make_key("p95_sec")


@pytest.fixture
def book() -> AlertBook:
    """Return an empty book whose clock stands at noon."""
    hand = HandClock()
    return AlertBook(MemoryStore(), now=hand.now, sleep=hand.sleep)


def numbered(number: int) -> str:
    """Return the ulid of the alert with this number."""
    return f"01KAR00000000000000000{number:04d}"


def answered(book: AlertBook, number: int, answer: str) -> Alert:
    """Raise an alert in a range of its own, and close it as somebody says."""
    alert = book.raise_alert(make_alert(numbered(number), good=10 * number, since=10 * number + 1))
    if answer == "INVALID":
        return book.invalid(alert.ulid, who="ada", reason="noise")
    if answer == "ACCEPTED":
        return book.accept(alert.ulid, who="ada", reason="meant")
    return book.close(alert.ulid, who="ada", state=answer)  # type: ignore[arg-type]


# --- raising ----------------------------------------------------------------------------------------------------


def test_the_same_alert_is_filed_once(book: AlertBook) -> None:
    """A check that is run again finds its alert, whatever ulid it would have given it."""
    first = book.raise_alert(make_alert())
    again = book.raise_alert(make_alert(numbered(9)))

    assert first == again == make_alert()
    assert book.list() == (first,)


def test_a_cause_that_another_series_shows_too_is_one_alert(book: AlertBook) -> None:
    """Both series stand in the first; a nominated one becomes open by it."""
    book.raise_alert(make_alert(state="NOMINATED", confirmations=()))
    merged = book.raise_alert(make_alert(numbered(9), nominations=(make_nomination(P95),)))

    assert merged.ulid == ULID
    assert merged.state == "OPEN"
    assert set(book.known_series()) == {make_key(), P95}
    assert len(book.list()) == 1


def test_another_cause_is_another_alert(book: AlertBook) -> None:
    """Of other series, or later than the first."""
    book.raise_alert(make_alert())
    later = make_alert(numbered(9), good=8, since=9, nominations=(make_nomination(P95, good=8, since=9),))

    assert book.raise_alert(later) == later
    assert len(book.list()) == 2


def test_a_known_series_does_not_open_a_second_alert(book: AlertBook) -> None:
    """Where its change is placed one run later the next time, it is still the same story."""
    first = book.raise_alert(make_alert())
    again = book.raise_alert(make_alert(numbered(9), good=6, since=7))

    assert again.ulid == first.ulid
    assert (again.good_run_ulid, again.since_run_ulid) == (run_ulid(5), run_ulid(6))


@pytest.mark.parametrize("answer", ["FIXED", "ACCEPTED", "INVALID", "MACHINE", "DOWNSTREAM"])
def test_what_was_answered_is_not_told_again(book: AlertBook, answer: str) -> None:
    """The history still shows the change after people have decided about it."""
    closed = answered(book, 1, answer)

    assert book.raise_alert(make_alert(numbered(9), good=10, since=11)) == closed
    assert book.raise_alert(make_alert(numbered(9), good=20, since=21)).state == "OPEN"


def test_a_withdrawn_suspicion_may_come_back(book: AlertBook) -> None:
    """Nobody was told of it, so it does not count as told."""
    book.raise_alert(make_alert(state="NOMINATED"))
    book.invalid(ULID, who=WATCH, reason="withdrawn")
    new = make_alert(numbered(9))

    assert book.raise_alert(new) == new


def test_many_processes_raise_one_alert() -> None:
    """Eight at once, each with a ulid of its own."""
    store = MemoryStore()
    threads = [
        threading.Thread(target=AlertBook(store).raise_alert, args=(make_alert(numbered(number)),))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(AlertBook(store).list()) == 1


# --- finding ----------------------------------------------------------------------------------------------------


def test_people_write_the_first_letters_of_a_ulid(book: AlertBook) -> None:
    """In either case; as many as it takes."""
    for number in (1, 12):
        book.raise_alert(make_alert(numbered(number), good=10 * number, since=10 * number + 1, workload=f"w{number}"))

    assert book.get(numbered(12).lower()).ulid == numbered(12)
    assert book.get(numbered(1)[:-1]).ulid == numbered(1)
    with pytest.raises(ParameterError, match="2 alerts begin with `01KAR`"):
        book.get("01kar")
    with pytest.raises(ParameterError, match="did you mean"):
        book.get(numbered(12).replace("K", "J"))
    with pytest.raises(ParameterError, match="no alert is called ``"):
        book.get("")
    assert [one.ulid for one in book.list()] == [numbered(1), numbered(12)]


def test_an_empty_book_says_so(book: AlertBook) -> None:
    """Not a traceback."""
    with pytest.raises(ParameterError, match="known are: none"):
        book.get("01K")
    assert book.list() == ()


def test_answers_are_written_down(book: AlertBook) -> None:
    """Acknowledged, snoozed, closed; every one with its event, and wrong ones change nothing."""
    book.raise_alert(make_alert())
    book.ack("01K", who="ada")
    book.snooze("01K", until=NOON + datetime.timedelta(days=1), who="ada")
    with pytest.raises(ParameterError, match="without a reason"):
        book.accept("01K", who="ada", reason="")
    closed = book.close("01K", who="bo", reason="reverted", state="FIXED")

    assert [(event.who, event.state) for event in closed.events] == [
        ("perflib", "OPEN"),
        ("ada", "ACKED"),
        ("ada", "ACKED"),
        ("bo", "FIXED"),
    ]
    assert book.list(states=["FIXED"]) == (closed,)
    assert book.list(states=["OPEN"]) == ()
    assert book.known_series() == {}


# --- what follows -----------------------------------------------------------------------------------------------


def test_an_accepted_level_rebases_its_series(book: AlertBook) -> None:
    """The newest one counts, only for its series, and no other answer does it."""
    assert book.rebased_after(make_key()) is None
    answered(book, 2, "ACCEPTED")
    answered(book, 1, "ACCEPTED")
    answered(book, 3, "FIXED")

    assert book.rebased_after(make_key()) == run_ulid(21)
    assert book.rebased_after(P95) is None


@pytest.mark.parametrize(
    ("answers", "is_doubtful"),
    [
        (["INVALID"], False),
        (["INVALID", "INVALID"], True),
        (["INVALID", "FIXED", "INVALID"], False),
        (["INVALID", "ACCEPTED", "INVALID"], False),
        (["INVALID", "MACHINE", "INVALID"], True),
        (["FIXED", "INVALID", "DOWNSTREAM", "INVALID"], True),
    ],
)
def test_two_false_alarms_in_a_row_mean_probation(book: AlertBook, answers: list[str], is_doubtful: bool) -> None:
    """Being right once clears a series; alarms about machines say nothing about it."""
    for number, answer in enumerate(answers, start=1):
        answered(book, number, answer)

    assert book.is_on_probation(make_key()) == is_doubtful
    assert not book.is_on_probation(P95)


def test_withdrawn_suspicions_are_no_false_alarms(book: AlertBook) -> None:
    """Otherwise every series would fall silent in time, by chance."""
    for number in (1, 2):
        book.raise_alert(make_alert(numbered(number), good=10 * number, since=10 * number + 1, state="NOMINATED"))
        book.invalid(numbered(number), who=WATCH, reason="withdrawn")

    assert not book.is_on_probation(make_key())


def wolf(book: AlertBook) -> Alert:
    """Put a series on probation, and raise an alert of it."""
    answered(book, 1, "INVALID")
    answered(book, 2, "INVALID")
    return book.raise_alert(make_alert(numbered(3), good=30, since=31))


def test_a_benchmark_that_cries_wolf_is_told_once(book: AlertBook) -> None:
    """As something to mend, and not again while that is open or accepted."""
    first = wolf(book)
    again = book.raise_alert(make_alert(numbered(4), good=40, since=41))
    accepted = book.accept(first.ulid, who="ada", reason="we know")
    third = book.raise_alert(make_alert(numbered(5), good=50, since=51))

    assert (first.kind, first.state, first.ulid, first.confirmations) == ("benchmark", "OPEN", numbered(3), ())
    assert again == first
    assert third == accepted
    assert book.rebased_after(make_key()) is None
    assert len(book.list()) == 3


@pytest.mark.parametrize("answer", ["close", "invalid"])
def test_a_benchmark_that_was_mended_is_trusted_again(book: AlertBook, answer: str) -> None:
    """Or one with which nothing was wrong."""
    first = wolf(book)
    getattr(book, answer)(first.ulid, who="ada", reason="seen to")
    later = make_alert(numbered(5), good=50, since=51)

    assert not book.is_on_probation(make_key())
    assert book.raise_alert(later) == later


def test_probation_is_of_a_series_not_of_its_neighbours(book: AlertBook) -> None:
    """The others page; the doubtful one goes into an alert of its own."""
    wolf(book)
    both = (make_nomination(good=50, since=51), make_nomination(P95, good=50, since=51))
    filed = book.raise_alert(make_alert(numbered(5), good=50, since=51, nominations=both))

    assert filed.kind == "performance"
    assert filed.nominations == both[1:]
    assert filed.confirmations != ()
    assert book.known_series()[make_key()].kind == "benchmark"


def test_alerts_close_when_all_their_series_are_back(book: AlertBook) -> None:
    """Half of them is not enough; a suspicion that nobody heard of is withdrawn instead."""
    both = (make_nomination(), make_nomination(P95))
    book.raise_alert(make_alert(nominations=both))
    suspect = make_alert(numbered(7), state="NOMINATED", workload="other")
    suspect = dataclasses.replace(suspect, nominations=(make_nomination(make_key("load_sec")),))
    book.raise_alert(suspect)

    assert book.close_returned([make_key()]) == ()
    closed = {one.ulid: one for one in book.close_returned([make_key(), P95, make_key("load_sec")])}
    assert {ulid: one.state for ulid, one in closed.items()} == {ULID: "FIXED", numbered(7): "INVALID"}
    assert "returned" in closed[ULID].events[-1].reason
    assert closed[ULID].events[-1].who == WATCH
    assert book.close_returned([make_key(), P95]) == ()
