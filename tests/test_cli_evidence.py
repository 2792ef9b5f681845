"""The commands of governance, as they are typed: one sentence for a mistake, the verifier's own codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from perflib import cli
from perflib.records import sha256_file
from perflib.results.governance import Backlog
from perflib.runs import Run
from tests.test_governing import packed, params, run

__all__ = ["packed", "params", "run"]

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that types a command and returns its code and what it printed."""

    def typed(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            cli.main([str(word) for word in words])
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return typed


def test_the_backlog_is_a_line_for_each_thing_to_do(run: Run, call: Call) -> None:
    """By rank, and as strict JSON for programs."""
    code, out, err = call("backlog", run.folder)
    as_json = call("backlog", run.folder, "--json")[1]

    assert code == 0
    assert "1. int8: 2.00× [1.90, 2.10] the throughput" in out
    assert "example prices" in out
    assert "perflib report" in err
    assert Backlog.from_dict(json.loads(as_json)) == run.read(Backlog, "run")


def test_a_pack_is_built_signed_and_verified(run: Run, packed: Path, tmp_path: Path, call: Call) -> None:
    """Two keys of two persons; a made-up run kept no answers, which a claim needs: code 3."""
    for role in ("author", "reviewer"):
        assert call("evidence", "key", tmp_path / f"{role}.key")[0] == 0
    assert "files in" in call("evidence", "build", run.folder)[1]
    for role in ("author", "reviewer"):
        assert (
            f"signed as {role}"
            in call("evidence", "sign", packed, "--role", role, "--key", tmp_path / f"{role}.key")[1]
        )
    trusted = [word for role in ("author", "reviewer") for word in ("--trust", tmp_path / f"{role}.key.pub")]
    code, out, _ = call("evidence", "verify", packed, *trusted)

    assert call("evidence", "verify", packed, *trusted[:2])[0] == 4
    assert (code, "signed by author" in out, "predictions-int8" in out) == (3, True, True)
    assert json.loads(call("evidence", "verify", packed, *trusted, "--json")[1])["exit_code"] == 3


def test_a_changed_file_is_found(packed: Path, call: Call) -> None:
    """Code 3 with the file's name."""
    (packed / "VERIFY.md").write_text("trust me\n")
    code, out, _ = call("evidence", "verify", packed, "--integrity-only")

    assert code == 3
    assert "VERIFY.md" in out


def test_a_promotion_says_on_what_evidence(run: Run, packed: Path, call: Call) -> None:
    """The digest begins the same."""
    from tests.tiny_artifact import write_artifact

    write_artifact(run.artifact_folder("int8"))
    code, out, _ = call("promote", f"{run.folder}:int8", "--reason", "ships")

    assert code == 0
    assert f"on evidence {sha256_file(packed / 'MANIFEST.json')[:12]}" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("backlog", "no-such-run"), "no run no-such-run"),
        (("evidence", "build", "no-such-run"), "no run no-such-run"),
        (("rehearse", "no-such-run"), "RUN:NAME"),
        (("promote", "no-such-run:int8", "--reason", "x"), "no run no-such-run"),
        (("evidence", "sign", "nowhere", "--role", "boss", "--key", "k"), "invalid choice: 'boss'"),
        (("report", "no-such-run"), "no run no-such-run"),
    ],
)
def test_a_mistake_is_one_sentence(words: tuple[str, ...], sentence: str, own_folders: Path, call: Call) -> None:
    """Code 1, no traceback."""
    code, out, err = call(*words)

    assert (code, out) == (1, "")
    assert sentence in err
    assert "Traceback" not in err
