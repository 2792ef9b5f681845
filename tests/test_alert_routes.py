"""Who is told: the file is checked completely, and no mistake in it repeats what may be a secret."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from perflib import project
from perflib.errors import ParameterError
from perflib.regression.alerts.routes import Routes, parse_routes
from perflib.results.regression import Alert
from tests.alert_records import make_alert, make_key, make_nomination

SECRET = "xoxb-T0k3n"
CHANNELS = {"slack": {"url_env": "TEAM_SLACK_URL"}, "on-call": {"url_env": "ON_CALL_URL"}}


def file(**fields: Any) -> dict[str, Any]:
    """Return a file with two channels."""
    return {"channels": CHANNELS, **fields}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (file(routes=[{"to": ["slak"]}]), "channel `slak` of a file is not known; did you mean `slack`?"),
        (file(default={"to": ["mail"]}), "known are: on-call, slack"),
        (file(route=[]), "`route` of a file is not known; did you mean `routes`?"),
        (file(routes=[{"to": ["slack"], "famly": "speed"}]), "`routes.0.famly` of a file is not known; did you mean"),
        (file(default={"ownr": "a"}), "`default.ownr` of a file is not known; did you mean `owner`?"),
        (file(routes=[{"candidate": "a"}]), "lacks `routes.0.to`"),
        (file(routes=[{"to": []}]), "`routes.0.to` of a file is wrong"),
        (file(routes=[{"to": "slack"}]), "`routes.0.to` of a file is wrong"),
        (file(routes=[{"to": ["slack"], "family": "sped"}]), "`routes.0.family` of a file is wrong"),
        (file(routes=[{"to": ["slack"], "family": ["speed", 3]}]), "`routes.0.family` of a file is wrong"),
        (file(reminder_hours=0), "`reminder_hours` of a file is wrong"),
        (file(reminder_hours=float("inf")), "`reminder_hours` of a file is wrong"),
        (file(reminder_hours="2"), "`reminder_hours` of a file is wrong"),
        ({"channels": {"a b": {"url_env": "X"}}}, "no short word"),
        ({"channels": {"slack": {}}}, "lacks `channels.slack.url_env`"),
        ({"channels": {"slack": {"url_env": SECRET}}}, "no name of an environment variable"),
        ({"channels": {"slack": {"url_env": "lower_case"}}}, "no name of an environment variable"),
        ({"channels": {"slack": SECRET}}, "`channels.slack` of a file is wrong"),
        (
            {"channels": {"slack": {"url": SECRET}}},
            "`channels.slack.url` of a file is not known; did you mean `url_env`?",
        ),
        (
            {"channels": {"slack": {"url_env": f"slack://{SECRET}"}}},
            "channels.slack.url_env of a file holds an address",
        ),
        ({"channels": {"slack": {"url": f"slack://{SECRET}"}}}, "secrets belong in the environment"),
        ({"channels": {"slack": f"slack://{SECRET}"}}, "holds an address"),
        ({"channels": {f"slack://{SECRET}": {"url_env": "X"}}}, "holds an address"),
        (file(routes=[{"to": [f"slack://{SECRET}"]}]), "routes.0.to.0 of a file holds an address"),
        ({f"slack://{SECRET}": 1}, "holds an address"),
    ],
)
def test_a_mistake_is_one_sentence_without_a_secret(data: dict[str, Any], words: str) -> None:
    """It names the place and what to do."""
    with pytest.raises(ParameterError) as caught:
        parse_routes(data, "a file")
    sentence = str(caught.value)

    assert words in sentence
    assert SECRET not in sentence
    assert sentence.isprintable()
    assert sentence[-1] in ".?"
    assert caught.value.__cause__ is None


ALERT = make_alert()
BOTH = make_alert(nominations=(make_nomination(), make_nomination(make_key("size_bytes", candidate="prune"))))


@pytest.mark.parametrize(
    ("route", "alert", "is_taken"),
    [
        ({}, ALERT, True),
        ({"workload": "sentiment-*"}, ALERT, True),
        ({"workload": "sentiment"}, ALERT, False),
        ({"candidate": "int?"}, ALERT, True),
        ({"candidate": "INT8"}, ALERT, False),
        ({"family": "speed"}, ALERT, True),
        ({"family": ["size", "speed"]}, ALERT, True),
        ({"family": "size"}, ALERT, False),
        ({"candidate": "prune", "family": "size"}, BOTH, True),
        ({"candidate": "int8", "family": "size"}, BOTH, False),
        ({"workload": "digits", "candidate": "int8"}, ALERT, False),
    ],
)
def test_a_route_takes_what_it_names(route: dict[str, Any], alert: Alert, is_taken: bool) -> None:
    """Candidate and family must hold for one and the same series."""
    routes = parse_routes(file(routes=[{**route, "to": ["on-call"], "owner": "ada"}], default={"to": ["slack"]}))
    taken = routes.route(alert)

    assert (taken.to, taken.owner) == ((("on-call",), "ada") if is_taken else (("slack",), None))


def test_the_first_route_that_fits_is_taken() -> None:
    """And a channel named twice is told once."""
    routes = parse_routes(file(routes=[{"to": ["slack", "slack"]}, {"to": ["on-call"]}]))

    assert routes.route(ALERT).to == ("slack",)


def test_nothing_is_said_to_nobody() -> None:
    """No file content, no channel."""
    for data in ({}, {"channels": None, "routes": None, "default": None, "reminder_hours": None}):
        assert parse_routes(data).route(ALERT).to == ()


def uncommented(text: str) -> str:
    """Return the example in the comments of the shipped file."""
    lines = [line.removeprefix("# ").removeprefix("#") for line in text.splitlines()]
    starts = ("channels:", "routes:", "default:", "reminder_hours:", "  ")
    return "\n".join(
        line for line in lines if line.startswith(starts) and "export" not in line and line != "channels: {}"
    )


def test_the_shipped_file_tells_nobody_and_its_example_works() -> None:
    """What a person gets by taking the comment marks away is a correct file."""
    text = (project.root() / "params" / "alerts.yaml").read_text(encoding="utf-8")
    load: Callable[[str], Any] = yaml.safe_load
    shipped: Routes = parse_routes(load(text))
    example = parse_routes(load(uncommented(text)))

    assert shipped.variables == {}
    assert shipped.route(ALERT).to == ()
    assert set(example.variables) == {"slack", "on-call", "mail"}
    assert example.route(ALERT).to == ("slack", "on-call")
    assert example.route(make_alert(nominations=())).to == ("slack",)
    assert example.reminder_hours == 48
