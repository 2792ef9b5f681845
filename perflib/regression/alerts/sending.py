"""
One message to one address, in a process of its own.

The libraries that speak to services log addresses, keep threads and may wait for ever. In a process of its own all of
that ends with it: the run sees words without secrets and never waits longer than it allowed. The address goes through
a pipe, since anybody can read command lines.
"""

import json
import logging
import os
import subprocess
import sys

from perflib.regression.alerts.escaping import plain_words
from perflib.regression.alerts.redaction import redact

# An interpreter on a busy machine takes its time before it can send anything.
START_SEC = 5.0
_MAX_TROUBLE_CHARS = 300


def apprise_send(url: str, subject: str, body: str, timeout_sec: float) -> str | None:
    """
    Send one message through apprise.

    Args:
        url: The address as apprise writes it; a secret.
        subject: One line.
        body: Plain text.
        timeout_sec: How long the service may take; a process that needs `START_SEC` more is ended.

    Returns:
        None when the service took it, else what went wrong, in words without any part of the address.
    """
    letter = json.dumps({"url": url, "subject": subject, "body": body, "timeout_sec": timeout_sec})
    silence = f"the service gave no answer within {timeout_sec:g} s"
    try:
        reply = subprocess.run(
            [sys.executable, "-m", "perflib.regression.alerts.sending"],
            input=letter.encode(),
            capture_output=True,
            timeout=timeout_sec + START_SEC,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return silence
    except OSError as error:
        return f"no process could be started to send it ({error.strerror})"
    # Its standard error is not looked at: a traceback may hold anything.
    words = reply.stdout.decode(errors="replace").strip()
    if reply.returncode != 0 or not words:
        return f"the sending process ended with code {reply.returncode}"
    if words == "sent":
        return None
    if words == "timeout":
        return silence
    return plain_words(redact(words, url))[:_MAX_TROUBLE_CHARS]


class _Heard(logging.Handler):
    """Keeps what the library complains about."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message."""
        self.words.append(" ".join(record.getMessage().split()).rstrip("."))


def _send(letter: dict[str, str | float]) -> str:
    import apprise

    heard = _Heard()
    logging.getLogger("apprise").addHandler(heard)
    asset = apprise.AppriseAsset(app_id="perflib", service_timeout=float(letter["timeout_sec"]), interpret_emojis=False)
    # `add` would split the text at commas and send to several services, of which some may answer and some not.
    service = apprise.Apprise.instantiate(str(letter["url"]), asset=asset)
    if service is None:
        return "the address is not one that apprise can use"
    channel = apprise.Apprise(asset=asset)
    channel.add(service)
    result = channel.notify(
        title=str(letter["subject"]), body=str(letter["body"]), body_format=apprise.NotifyFormat.TEXT
    )
    # An address may call its service optional, and a failure then counts as success: the attempts themselves tell.
    status = [attempt.status for one in result.results for attempt in one.attempts][-1:]
    if status == [apprise.AppriseResultStatus.SUCCESS]:
        return "sent"
    if status == [apprise.AppriseResultStatus.TIMEOUT]:
        return "timeout"
    return "; ".join(dict.fromkeys(heard.words)) or "the service did not take it"


if __name__ == "__main__":
    answer = _send(json.loads(sys.stdin.buffer.read()))
    sys.stdout.write(answer)
    sys.stdout.flush()
    # A thread that still waits for a silent service must not keep the process.
    os._exit(0)
