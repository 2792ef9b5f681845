"""Messages on their way to real servers on this machine: arriving once, late, never, and without a word of a secret."""

import contextlib
import http.server
import json
import logging
import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator
from email import message_from_bytes
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from perflib.regression.alerts import message
from perflib.regression.alerts.book import AlertBook
from perflib.regression.alerts.deliver import SEND_SEC, TOTAL_SEC, Courier
from perflib.regression.alerts.deliveries import GIVE_UP_COUNT, all_deliveries
from perflib.regression.alerts.documents import ALERTS, DELIVERIES
from perflib.regression.alerts.redaction import redact
from perflib.regression.alerts.routes import Routes, parse_routes
from perflib.regression.alerts.sending import START_SEC, apprise_send
from perflib.results.regression import Delivery
from tests.alert_records import ULID, HandClock, MemoryStore, make_alert

TOKEN, PASSWORD, KEY = "T0k3nInThePath", "pa55word-of-ada", "k3y-in-the-query"
ROUTES = {"channels": {"team": {"url_env": "TEAM_URL"}}, "default": {"to": ["team"], "owner": "serving team"}}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent to this machine stays on it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


class Web:
    """A real server that answers each request as the next of its answers says; the last one stays."""

    def __init__(self, *answers: int | str) -> None:
        self.answers, self.asked_count = list(answers), 0
        self.bodies: list[dict[str, Any]] = []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                web.answer(self)

            def log_message(self, *args: Any) -> None:
                """Stay silent."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """Take a message as the next answer says."""
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        self.asked_count += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == "drop":
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        if answer == "slow":
            time.sleep(3)
            return
        if answer == 200:
            self.bodies.append(body)
        request.send_response(int(answer))
        request.end_headers()

    @property
    def url(self) -> str:
        """Its address with a secret of every kind."""
        return f"json://ada:{PASSWORD}@127.0.0.1:{self.port}/{TOKEN}?+x-key={KEY}"


@contextlib.contextmanager
def web(*answers: int | str) -> Iterator[Web]:
    """Serve on loopback."""
    serving = Web(*answers)
    try:
        yield serving
    finally:
        serving.server.shutdown()
        serving.server.server_close()


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Post:
    """Sends to nobody: keeps what it was given and answers as told."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers) or [None]
        self.sent: list[tuple[str, str, str, float]] = []

    def __call__(self, url: str, subject: str, body: str, timeout_sec: float) -> str | None:
        """Keep a message."""
        self.sent.append((url, subject, body, timeout_sec))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Office:
    """A store with one open alert, a clock set by hand, and couriers that share both."""

    def __init__(self, routes: dict[str, Any] | None = None) -> None:
        self.store, self.hand = MemoryStore(), HandClock()
        self.book = AlertBook(self.store, now=self.hand.now, sleep=self.hand.sleep)
        self.alert = self.book.raise_alert(make_alert())
        self.routes: Routes = parse_routes(routes or ROUTES)

    def courier(self, send: Any = None, **environ: str) -> Courier:
        """Return a courier of its own."""
        hand = self.hand
        return Courier(
            self.store,
            self.routes,
            now=hand.now,
            sleep=hand.sleep,
            clock=hand.clock,
            send=send or Post(),
            environ=environ or {"TEAM_URL": "json://127.0.0.1/x"},
        )

    @property
    def delivery(self) -> Delivery:
        """The only one there is."""
        (found,) = all_deliveries(self.store)
        return found


def assert_nothing_secret(*texts: object) -> None:
    """Check that no part of the address is in any of these."""
    for text in texts:
        for secret in (TOKEN, PASSWORD, KEY):
            assert secret.lower() not in str(text).lower()


# --- real servers -----------------------------------------------------------------------------------------------


def test_an_alert_arrives_once_with_everything(caplog: pytest.LogCaptureFixture) -> None:
    """Over HTTP; a second call sends nothing; the message is the one that is shown, with the route's owner."""
    caplog.set_level(logging.DEBUG)
    office = Office()
    with web(200) as server:
        courier = office.courier(apprise_send, TEAM_URL=server.url)
        courier.deliver([office.alert])
        courier.deliver([office.alert])
        courier.deliver_pending()
    (body,) = server.bodies

    assert body["title"] == message.subject(office.alert)
    assert "owner: serving team" in body["message"]
    assert "perflib alerts ack" in body["message"]
    assert body["message"].splitlines()[2:] == message.plain(office.alert).splitlines()[2:]
    assert office.delivery == Delivery(ULID, "team", "OPEN", "sent", 1, office.hand.now().isoformat(), None)
    assert_nothing_secret(office.store.texts, caplog.text, body)


@pytest.mark.parametrize("first", [500, 403, "drop"])
def test_what_fails_first_is_tried_again(first: int | str, caplog: pytest.LogCaptureFixture) -> None:
    """After an error of the server, a refusal, or a connection that was dropped when the message was read."""
    caplog.set_level(logging.DEBUG)
    office, troubles = Office(), []
    with web(first, 200) as server:

        def send(*letter: Any) -> str | None:
            troubles.append(apprise_send(*letter))
            return troubles[-1]

        office.courier(send, TEAM_URL=server.url).deliver([office.alert])

    assert len(server.bodies) == 1
    assert server.asked_count == 2
    assert (office.delivery.status, office.delivery.attempt_count) == ("sent", 2)
    assert troubles[-1] is None
    assert str(first) in str(troubles[0]) or "Connection error" in str(troubles[0])
    assert_nothing_secret(office.store.texts, caplog.text, troubles)


def test_a_service_that_is_not_there_is_a_trouble_in_words(caplog: pytest.LogCaptureFixture) -> None:
    """Without the address."""
    caplog.set_level(logging.DEBUG)
    url = f"json://ada:{PASSWORD}@127.0.0.1:{free_port()}/{TOKEN}?+x-key={KEY}"
    trouble = apprise_send(url, "subject", "body", 5.0)

    assert trouble is not None
    assert trouble == "A Connection error occurred sending JSON notification to ***"
    assert_nothing_secret(trouble, caplog.text)


def test_a_slow_service_is_not_waited_for() -> None:
    """The sender's patience ends before the service answers."""
    with web("slow") as server:
        trouble = apprise_send(server.url, "subject", "body", 0.5)

    assert trouble is not None
    assert "no answer within 0.5 s" in trouble


@pytest.mark.parametrize("url", ["nonsense", f"nosuch://{TOKEN}", f"slack://{TOKEN}", f"json://{'a' * 10_000}:x/", ""])
def test_an_address_that_cannot_be_used_is_a_trouble_in_words(url: str) -> None:
    """Never an exception, never the address."""
    trouble = apprise_send(url, "subject", "body", 2.0)

    assert trouble is not None
    assert_nothing_secret(trouble)
    assert len(trouble) < 400


def test_an_alert_arrives_by_mail() -> None:
    """Over SMTP, as it is written."""

    class Mailbox:
        letters: list[bytes] = []  # noqa: RUF012 -- the server makes no second one

        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
            self.letters.append(envelope.content)
            return "250 taken"

    mailbox = Mailbox()
    server = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        url = (
            f"mailto://127.0.0.1:{server.port}?from=perflib@example.org&to=oncall@example.org&mode=insecure&format=text"
        )
        office = Office()
        office.courier(apprise_send, TEAM_URL=url).deliver([office.alert])
    finally:
        server.stop()
    (letter,) = [message_from_bytes(one) for one in mailbox.letters]
    part = next(one for one in letter.walk() if one.get_content_type() == "text/plain")
    text = part.get_payload(decode=True)

    assert office.delivery.status == "sent", office.delivery
    assert str(make_header(decode_header(letter["Subject"]))) == message.subject(office.alert)
    assert letter["To"].endswith("oncall@example.org")
    assert isinstance(text, bytes)
    assert f"perflib alerts ack {ULID}" in text.decode()


def test_a_mail_server_that_refuses_is_a_trouble_in_words() -> None:
    """With neither the address nor the password of the sender."""
    url = f"mailto://ada:{PASSWORD}@127.0.0.1:{free_port()}?from=a@example.org&to=b@example.org&mode=insecure"
    trouble = apprise_send(url, "subject", "body", 5.0)

    assert trouble is not None
    assert_nothing_secret(trouble)
    assert "example.org" not in trouble


# --- trying again -----------------------------------------------------------------------------------------------


def test_a_channel_that_is_down_waits_for_the_next_run() -> None:
    """Pauses double, all ends within thirty seconds, and the next call brings it."""
    office, broken = Office(), Post("broken pipe")
    office.courier(broken).deliver([office.alert])
    tried_count = len(broken.sent)

    assert office.hand.pauses == [1.0, 2.0, 4.0, 8.0]
    assert office.hand.passed_sec <= TOTAL_SEC
    assert all(timeout_sec <= SEND_SEC for *_, timeout_sec in broken.sent)
    assert (office.delivery.status, office.delivery.attempt_count) == ("pending", tried_count)
    assert office.delivery.trouble == "broken pipe"

    post = Post()
    office.courier(post).deliver_pending()
    assert len(post.sent) == 1
    assert (office.delivery.status, office.delivery.attempt_count) == ("sent", tried_count + 1)
    assert office.delivery.trouble is None


def test_slow_tries_stay_within_the_time_of_a_run() -> None:
    """Each try is given no more than what is left, so the whole ends in time."""
    office, given = Office(), []

    def slow(url: str, subject: str, body: str, timeout_sec: float) -> str:
        given.append(timeout_sec)
        office.hand.passed_sec += timeout_sec + START_SEC
        return "nothing came"

    office.courier(slow).deliver([office.alert])

    assert office.hand.passed_sec <= TOTAL_SEC
    assert len(given) >= 2
    assert min(given) > 0


def test_a_message_is_given_up_after_ten_tries() -> None:
    """Over several calls, and then it is left alone."""
    office, broken = Office(), Post("broken")
    for _ in range(5):
        office.courier(broken).deliver_pending()
        office.courier(broken).deliver([office.alert])

    assert len(broken.sent) == GIVE_UP_COUNT
    assert (office.delivery.status, office.delivery.attempt_count) == ("given up", GIVE_UP_COUNT)


def test_a_slow_channel_holds_up_no_other() -> None:
    """Both are on their way at the same time."""
    both = {
        "channels": {"one": {"url_env": "ONE"}, "two": {"url_env": "TWO"}},
        "default": {"to": ["one", "two"]},
    }
    office, meeting = Office(both), threading.Barrier(2, timeout=5)

    def send(*letter: Any) -> None:
        meeting.wait()

    office.courier(send, ONE="json://a", TWO="json://b").deliver([office.alert])

    assert {(one.channel, one.status) for one in all_deliveries(office.store)} == {("one", "sent"), ("two", "sent")}


def test_a_sender_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The error becomes words without the secret."""
    office = Office()

    def broken(url: str, *rest: Any) -> None:
        raise RuntimeError(f"cannot reach {url}")

    url = f"json://ada:{PASSWORD}@127.0.0.1/{TOKEN}?key={KEY}"
    office.courier(broken, TEAM_URL=url).deliver([office.alert])

    assert "RuntimeError" in (office.delivery.trouble or "")
    assert_nothing_secret(office.store.texts, caplog.text)


def test_an_unset_variable_is_named_and_nothing_is_tried() -> None:
    """No try is used up; once it is set, the message goes."""
    office, post = Office(), Post()
    office.courier(post, OTHER="x").deliver([office.alert])

    assert office.delivery.trouble == "environment variable TEAM_URL is not set"
    assert (office.delivery.status, office.delivery.attempt_count, post.sent) == ("pending", 0, [])
    assert office.hand.pauses == []

    office.courier(post).deliver_pending()
    assert office.delivery.status == "sent"


# --- once -------------------------------------------------------------------------------------------------------


def test_two_couriers_at_once_send_one_message() -> None:
    """Eight threads start together; one sends."""
    office, sent, start = Office(), [], threading.Barrier(8)

    def send(*letter: Any) -> None:
        sent.append(letter)
        time.sleep(0.05)

    def work() -> None:
        start.wait()
        office.courier(send).deliver([office.alert])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(sent) == 1
    assert (office.delivery.status, office.delivery.attempt_count) == ("sent", 1)


class FileStore:
    """Documents in one file under a lock of the system, for processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def _opened(self) -> Iterator[MemoryStore]:
        import fcntl

        with self.path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            inner = MemoryStore()
            inner.texts = {tuple(key.split("|")): text for key, text in json.loads(file.read() or "{}").items()}
            try:
                yield inner
            finally:
                file.truncate(0)
                file.write(json.dumps({"|".join(key): text for key, text in inner.texts.items()}))
                file.flush()

    def put_document(self, *args: Any) -> None:
        """As its name says."""
        with self._opened() as inner:
            inner.put_document(*args)

    def documents(self, kind: str) -> list[dict[str, Any]]:
        """As its name says."""
        with self._opened() as inner:
            return inner.documents(kind)

    def document(self, kind: str, ulid: str) -> dict[str, Any] | None:
        """As its name says."""
        with self._opened() as inner:
            return inner.document(kind, ulid)

    def update_document(self, *args: Any) -> None:
        """As its name says."""
        with self._opened() as inner:
            inner.update_document(*args)


def _deliver_in_a_process(path: Path, port: int, start: Any) -> None:
    store = FileStore(path)
    courier = Courier(store, parse_routes(ROUTES), environ={"TEAM_URL": f"json://127.0.0.1:{port}"})
    start.wait()
    courier.deliver(AlertBook(store).list())


def test_two_processes_at_once_send_one_message(tmp_path: Path) -> None:
    """Through the real sender to a real server."""
    path = tmp_path / "store.json"
    AlertBook(FileStore(path)).raise_alert(make_alert())
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2, timeout=30)
    with web(200) as server:
        processes = [context.Process(target=_deliver_in_a_process, args=(path, server.port, start)) for _ in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)

    assert [process.exitcode for process in processes] == [0, 0]
    assert server.asked_count == 1
    assert [one.status for one in all_deliveries(FileStore(path))] == ["sent"]


def test_a_message_of_a_process_that_died_is_tried_again_later() -> None:
    """Its turn expires; until then nobody else sends."""
    office, post = Office(), Post()

    class DiedError(BaseException):
        """Stands for a kill: nothing after it runs."""

    def die(*letter: Any) -> None:
        raise DiedError

    with pytest.raises(DiedError):
        office.courier(die).deliver([office.alert])
    office.courier(post).deliver_pending()
    assert (office.delivery.status, office.delivery.attempt_count, post.sent) == ("pending", 1, [])

    office.hand.passed_sec += 60
    office.courier(post).deliver_pending()
    assert (office.delivery.status, office.delivery.attempt_count, len(post.sent)) == ("sent", 2, 1)


@pytest.mark.parametrize("state", ["NOMINATED", "CONFIRMING", "ACKED", "FIXED", "ACCEPTED", "INVALID", "MACHINE"])
def test_only_an_open_alert_pages(state: Any) -> None:
    """Suspicions do not, and what somebody answered does not."""
    office, post = Office(), Post()
    office.store.update_document(ALERTS, ULID, lambda data: {**data, "state": state})
    office.courier(post).deliver([office.alert])

    assert post.sent == []
    assert office.store.documents(DELIVERIES) == []


def test_an_alert_that_was_never_filed_is_not_sent() -> None:
    """The book decides what is told."""
    office, post = Office(), Post()
    office.courier(post).deliver([make_alert("01KAR0000000000000000000ZZ")])

    assert post.sent == []


def answer(office: Office, what: str) -> None:
    """Acknowledge or close the alert."""
    getattr(office.book, what)(ULID, who="ada", reason="seen")


def test_what_was_answered_before_it_arrived_is_not_sent_late() -> None:
    """It is given up, with the reason."""
    office, post = Office(), Post()
    office.courier(Post("broken")).deliver([office.alert])
    answer(office, "ack")
    office.courier(post).deliver_pending()

    assert post.sent == []
    assert office.delivery.status == "given up"
    assert office.delivery.trouble == "not needed any more: the alert is ACKED"


def test_a_channel_that_left_the_file_is_given_up() -> None:
    """Nobody can send to it any more."""
    office, post = Office(), Post()
    office.courier(Post("broken")).deliver([office.alert])
    office.routes = parse_routes({})
    office.courier(post).deliver_pending()

    assert (office.delivery.status, post.sent) == ("given up", [])


def test_a_snoozed_alert_sends_nothing_until_it_wakes() -> None:
    """Neither anew, nor what waited, nor a reminder."""
    office, post = Office({**ROUTES, "reminder_hours": 1}), Post()
    office.courier(Post("broken")).deliver([office.alert])
    until = office.hand.now().replace(hour=18, minute=0, second=0)
    office.book.snooze(ULID, until=until, who="ada")
    office.courier(post).deliver([office.alert])
    office.courier(post).deliver_pending()

    assert post.sent == []
    assert "snoozed until" in (office.delivery.trouble or "")

    office.hand.passed_sec = 6 * 3600
    office.courier(post).deliver_pending()
    assert len(post.sent) == 1


def test_each_state_is_reminded_of_once() -> None:
    """When it has lasted as long as the file says, not before, and only where it was told."""
    office, post = Office({**ROUTES, "reminder_hours": 24}), Post()

    def after(hours: float) -> int:
        office.hand.passed_sec = hours * 3600
        office.courier(post).deliver([office.alert])
        office.courier(post).deliver_pending()
        return len(post.sent)

    assert [after(0), after(23.9), after(24), after(30)] == [1, 1, 2, 2]
    answer(office, "ack")
    assert [after(53.9), after(54), after(200)] == [2, 3, 3]
    assert [subject.startswith("Reminder: ") for _, subject, *_ in post.sent] == [False, True, True]
    answer(office, "close")
    assert after(400) == 3


def test_nobody_is_reminded_where_the_file_does_not_say_so() -> None:
    """Or of what never arrived."""
    office, post = Office(), Post()
    office.courier(post).deliver([office.alert])
    office.hand.passed_sec = 10_000 * 3600
    office.courier(post).deliver_pending()

    assert len(post.sent) == 1


# --- secrets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "url", "hidden"),
    [
        ("error=500 at T1/B2/c3", "slack://T1/B2/c3", "error=500 at ***"),
        ("no p@ss here, nor p%40ss", "json://u:p%40ss@h/", "no *** here, nor ***"),
        ("ABCDEF and abcdef", "json://abcdef/", "*** and ***"),
        ("a bad day", "json://a:b@h", "*** bad day"),
        ("to x y", "json://h?to=x+y", "to ***"),
        ("nothing to see", "json://host:8080/", "nothing to see"),
        ("port 500", "json://host:500/", "port 500"),
    ],
)
def test_every_part_of_an_address_is_hidden(text: str, url: str, hidden: str) -> None:
    """Decoded or not, in either case; short parts as words only."""
    assert redact(text, url) == hidden


def test_no_secret_is_seen_by_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is in no command line and not in what an error would hold."""
    seen: list[Any] = []

    def refuse(command: list[str], **options: Any) -> None:
        seen.append(command)
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("subprocess.run", refuse)
    trouble = apprise_send(f"json://h/{TOKEN}", "subject", "body", 1.0)

    assert trouble == "no process could be started to send it (Cannot allocate memory)"
    assert_nothing_secret(seen)
