"""The history on SQLite: what it promises to who appends and reads."""

from pathlib import Path

import pytest

from perflib.regression.history.opening import URL_VARIABLE, default_url
from perflib.regression.history.store import open_history
from tests import history_battery
from tests.synthetic_history import make_points


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the address of a database that is not there yet."""
    return f"sqlite:///{tmp_path / 'history.sqlite'}"


class TestResults(history_battery.Results):
    """On SQLite."""


class TestOrder(history_battery.Order):
    """On SQLite."""


class TestGoods(history_battery.Goods):
    """On SQLite."""


class TestDocuments(history_battery.Documents):
    """On SQLite."""


class TestConcurrency(history_battery.Concurrency):
    """On SQLite."""


def test_the_default_is_in_the_outputs_or_where_the_variable_says(
    own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the folder is made."""
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    with open_history() as history:
        history.append(make_points(run_count=1))
    assert (own_folders / "history" / "history.sqlite").is_file()
    monkeypatch.setenv(URL_VARIABLE, "sqlite:////elsewhere/history.sqlite")
    assert default_url() == "sqlite:////elsewhere/history.sqlite"


def test_a_history_in_memory_works(tmp_path: Path) -> None:
    """For who only wants to try."""
    with open_history("sqlite://") as history:
        assert history.append(make_points(run_count=1)) == 18
        assert history.count() == 18
