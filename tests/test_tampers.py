"""Whatever is done to a pack is found, with the code that says what kind of thing was done."""

import os
import random
import shutil
import time
from pathlib import Path

import pytest

from perflib.governance.evidence.keys import make_key
from perflib.governance.evidence.layout import ROLES
from perflib.governance.evidence.signing import sign_pack
from perflib.governance.evidence.verify import verify_pack
from perflib.results.governance import PackCheck
from tests.sound_packs import RUN_ID, sound_files, write_sound_pack
from tests.tampers import Bench, Tamper, tampers

# Recomputing takes a second; without PERFLIB_CAMPAIGN=1 as many of those are tried as fit, others in another order.
SLOW_BUDGET_SEC = 20.0
PERSONS = ("author", "reviewer", "stranger")
ALL = tampers(sorted(sound_files()))
FAST = [one for one in ALL if not one.is_slow]
SLOW = [one for one in ALL if one.is_slow]


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A pack that its author and a reviewer have signed."""
    root = tmp_path_factory.mktemp("tampers")
    keys = {role: root / f"{role}.pem" for role in PERSONS}
    for path in keys.values():
        make_key(path)
    folder = write_sound_pack(root / RUN_ID)
    for role in ROLES:
        sign_pack(folder, key=keys[role], role=role)
    return Bench(folder, keys["author"], keys["reviewer"], keys["stranger"])


def public(key: Path) -> Path:
    """Return where the other half of a key lies."""
    return key.with_name(f"{key.name}.pub")


def verified(bench: Bench) -> PackCheck:
    """Verify as somebody who trusts author and reviewer."""
    return verify_pack(bench.folder, trusted=(public(bench.author), public(bench.reviewer)), today=bench.today)


def tampered(signed: Bench, tamper: Tamper, folder: Path) -> PackCheck:
    """Do it to a copy, and verify."""
    shutil.copytree(signed.folder, folder, symlinks=True)
    bench = Bench(folder, signed.author, signed.reviewer, signed.stranger)
    tamper.act(bench)
    found = verified(bench)
    shutil.rmtree(folder)
    return found


def wrong(signed: Bench, some: list[Tamper], root: Path, *, budget_sec: float = float("inf")) -> list[str]:
    """Return the tampers that got another code than they must, and why."""
    found = []
    end_sec = time.monotonic() + budget_sec
    for tamper in some:
        if time.monotonic() > end_sec:
            break
        check = tampered(signed, tamper, root / "copy" / RUN_ID)
        if check.exit_code != tamper.code or not check.problems:
            found.append(f"{tamper.name}: {tamper.code} wanted, {check.exit_code} given, {check.problems[:2]}")
    return found


def test_there_are_enough_tampers_of_every_code() -> None:
    """At least 200, and every code of the verifier is among them."""
    assert len(ALL) >= 200
    assert {one.code for one in ALL} == {2, 3, 4, 5, 6, 7}


def test_the_untouched_pack_verifies(signed: Bench) -> None:
    """Or everything below would be found for nothing."""
    check = verified(signed)

    assert check.problems == ()
    assert check.exit_code == 0
    assert [role for role, _ in check.signed_by] == ["author", "reviewer"]


def test_files_and_signatures_are_defended(signed: Bench, tmp_path: Path) -> None:
    """Every tamper that stops at the manifest or at a signature."""
    assert wrong(signed, FAST, tmp_path) == []


def test_contents_are_defended_even_against_those_who_sign(signed: Bench, tmp_path: Path) -> None:
    """Every tamper that only a rule can find, or as many as there is time for."""
    is_campaign = os.environ.get("PERFLIB_CAMPAIGN") == "1"
    order = random.Random(os.environ.get("PERFLIB_TAMPER_SEED", "1")).sample(SLOW, len(SLOW))

    assert wrong(signed, order, tmp_path, budget_sec=float("inf") if is_campaign else SLOW_BUDGET_SEC) == []
