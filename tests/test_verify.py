"""The verdict on a pack: in which order it is looked at, what is believed without signatures, and how it is said."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from perflib.errors import DataError, ParameterError
from perflib.governance.evidence import verify
from perflib.governance.evidence.keys import make_key
from perflib.governance.evidence.layout import ROLES
from perflib.governance.evidence.pack import MissingFileError
from perflib.governance.evidence.rules.base import Rule, broken
from perflib.governance.evidence.signing import sign_pack
from perflib.governance.evidence.verify import apply_rule, verdict_lines, verify_pack
from perflib.results.governance import PackCheck
from tests.hand_packs import SETTING, TODAY, hand_pack, write_pack
from tests.sound_packs import RUN_ID, write_sound_pack


@pytest.fixture
def no_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only files and signatures are looked at."""
    monkeypatch.setattr(verify, "RULES", ())


@dataclasses.dataclass(frozen=True)
class Signed:
    """A pack and the public keys of those who signed it."""

    folder: Path
    author: Path
    reviewer: Path


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    """A small pack with two signatures."""
    folder = write_pack(tmp_path / "evidence", {"run.json": {}, "a.txt": "a"})
    for role in ROLES:
        make_key(tmp_path / role)
        sign_pack(folder, key=tmp_path / role, role=role)
    return Signed(folder, tmp_path / "author.pub", tmp_path / "reviewer.pub")


def code(signed: Signed, *trusted: Path, **settings: Any) -> int:
    """Return the code of a pack."""
    return verify_pack(signed.folder, trusted=trusted, today=TODAY, **settings).exit_code


@pytest.mark.usefixtures("no_rules")
def test_so_many_trusted_keys_must_have_signed(signed: Signed) -> None:
    """Two of two by default; the pack's own keys count for nothing, and one person is not two."""
    assert code(signed, signed.author, signed.reviewer) == 0
    assert code(signed, signed.author) == 4
    assert code(signed, signed.author, signed.author) == 4
    assert code(signed, signed.author, threshold=1) == 0
    assert code(signed) == 4


@pytest.mark.usefixtures("no_rules")
def test_a_copy_of_a_key_is_no_second_person(signed: Signed) -> None:
    """The same key in two files is one key."""
    copy = signed.author.with_name("copy.pub")
    shutil.copy(signed.author, copy)

    assert code(signed, signed.author, copy) == 4


@pytest.mark.usefixtures("no_rules")
def test_integrity_only_says_that_nobody_was_asked(signed: Signed) -> None:
    """It passes without keys, and warns."""
    check = verify_pack(signed.folder, is_integrity_only=True, today=TODAY)

    assert check.exit_code == 0
    assert check.signed_by == ()
    assert "Signatures were not checked" in check.warnings[0]


@pytest.mark.usefixtures("no_rules")
def test_trust_on_first_use_says_what_it_is_worth(signed: Signed) -> None:
    """Keys from the pack are believed only when asked for, with a warning."""
    check = verify_pack(signed.folder, trust_on_first_use=True, today=TODAY)

    assert check.exit_code == 0
    assert "not who signed" in check.warnings[0]


def test_what_is_not_signed_is_not_read(signed: Signed, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rule sees a file before files and signatures are found right."""
    monkeypatch.setattr(verify, "RULES", (Rule("I5", "never asked", lambda pack, setting: pytest.fail("was asked")),))

    assert code(signed) == 4
    (signed.folder / "a.txt").write_text("b")
    assert code(signed, signed.author, signed.reviewer) == 3


def test_the_smallest_code_is_the_verdict(signed: Signed, monkeypatch: pytest.MonkeyPatch) -> None:
    """All problems are listed, whichever code is given."""
    looks = [broken("I5", "a.txt", "x", code=7), None, broken("I5", "a.txt", "y", code=5)]
    monkeypatch.setattr(verify, "RULES", (Rule("I5", "two", lambda pack, setting: iter(looks)),))

    check = verify_pack(signed.folder, is_integrity_only=True, today=TODAY)

    assert check.exit_code == 5
    assert [one.code for one in check.problems] == [7, 5]
    assert check.rules[-1].checked_count == 3


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (KeyError("a\x1b[2J"), 2),
        (RecursionError(), 2),
        (ZeroDivisionError(), 2),
        (TypeError("x" * 10_000), 2),
        (DataError("a file is damaged; make it again."), 2),
        (MissingFileError("a file is missing; build again."), 3),
    ],
)
def test_a_rule_that_stumbles_is_a_problem_of_the_pack(error: Exception, wanted: int) -> None:
    """One printable sentence, whatever a hostile file makes a rule raise."""

    def look(pack: Any, setting: Any) -> Any:
        yield None
        raise error

    result, problems = apply_rule(Rule("I5", "stumbles", look), hand_pack({}), SETTING)

    assert [one.code for one in problems] == [wanted]
    assert problems[0].sentence.isprintable()
    assert len(problems[0].sentence) < 200
    assert (result.checked_count, result.is_kept) == (1, False)


def test_problems_without_end_are_cut() -> None:
    """The count of what was looked at stays true."""
    looks = [broken("I5", str(number), "x") for number in range(1_000)]

    result, problems = apply_rule(Rule("I5", "many", lambda pack, setting: iter(looks)), hand_pack({}), SETTING)

    assert (result.checked_count, len(problems)) == (1_000, 50)


def test_mistakes_of_the_caller_are_said(tmp_path: Path) -> None:
    """No folder, or no signature asked for."""
    with pytest.raises(ParameterError, match="no folder"):
        verify_pack(tmp_path / "none", today=TODAY)
    with pytest.raises(ParameterError, match="threshold is 0"):
        verify_pack(tmp_path, threshold=0, today=TODAY)


@pytest.mark.usefixtures("no_rules")
def test_lines_say_every_rule_and_the_verdict(signed: Signed) -> None:
    """A person reads what was looked at, what is wrong, and what follows."""
    kept = verdict_lines(verify_pack(signed.folder, trusted=(signed.author, signed.reviewer), today=TODAY))
    (signed.folder / "a.txt").unlink()
    refused = verdict_lines(verify_pack(signed.folder, today=TODAY))

    assert kept[0].startswith("kept")
    assert kept[-1] == "OK (0): the pack is whole."
    assert any(line.startswith("signed by author: ") for line in kept)
    assert refused[0].startswith("BROKEN")
    assert any("a.txt" in line for line in refused)
    assert refused[-1].startswith("REFUSED (3)")


def test_a_sound_pack_is_kept_and_can_be_recorded(tmp_path: Path) -> None:
    """Every rule looked at something, and the verdict survives its own reader."""
    check = verify_pack(write_sound_pack(tmp_path / RUN_ID), is_integrity_only=True, today=TODAY)

    assert check.problems == ()
    assert all(one.checked_count for one in check.rules)
    assert PackCheck.from_dict(check.to_dict()).exit_code == 0
