"""A pack is there whole or not at all, is the same each time it is built, and takes nobody's key along."""

import io
import os
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from perflib.errors import DataError, ParameterError, SetupError
from perflib.governance.evidence import layout
from perflib.governance.evidence.build import build_pack, left_out
from perflib.governance.evidence.instructions import instructions
from perflib.governance.evidence.keys import make_key
from perflib.governance.evidence.pack import open_pack
from perflib.governance.evidence.signing import sign_pack
from perflib.governance.evidence.verify import CODES, verdict_lines
from perflib.results.governance import Manifest, PackCheck
from tests.packs import BUILT, PARTS, make_pack, make_run


def _build(run: Path, folder: Path, parts: dict[str, bytes] = PARTS, **change: Any) -> Manifest:
    given: dict[str, Any] = {"built": BUILT, "claimed": ("int8",), "promoted": (), **change}
    return build_pack(
        run, folder, parts, run_id=run.name, run_ulid="01JNABCDEFGHJKMNPQRSTVWXYZ", version="0.1.0", **given
    )


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return the folder of a finished run."""
    make_run(tmp_path / "run")
    return tmp_path / "run"


def test_a_pack_holds_the_run_and_its_parts(run: Path) -> None:
    """Files of the run keep names and bytes, parts lie where they are told to, the manifest agrees with the disk."""
    manifest = _build(run, run / "evidence")
    found = _bytes(run / "evidence")
    for path in ("run.json", "report.html", "records/validation-vocabulary.json", "records/predictions-int8.parquet"):
        assert found[path] == (run / path).read_bytes()
    assert {path: found[path] for path in PARTS} == PARTS
    assert [one.path for one in manifest.files] == sorted(set(found) - {"MANIFEST.json"})
    assert open_pack(run / "evidence")[1] == []


def test_raw_answers_are_kept_of_whom_the_pack_speaks(run: Path) -> None:
    """Predictions and probes of other candidates stay with the run, and so do examples of all; they are named."""
    for name in ("int8", "vocabulary"):
        (run / "records" / f"exemplars-{name}.csv").write_text("id\n")
    (run / "records" / "predictions-int8-few.parquet").write_bytes(b"PAR1")
    (run / "records" / "notes.txt").write_text("somebody's own")
    kinds = ("predictions-{}.parquet", "probes-{}.parquet")
    others = [f"records/{kind.format('vocabulary')}" for kind in kinds]
    examples = [f"records/exemplars-{name}.csv" for name in ("int8", "vocabulary")]
    assert left_out(run, {"int8"}) == tuple(sorted([*others, *examples, "records/predictions-int8-few.parquet"]))
    _build(run, run / "evidence")
    raw = {path for path in _bytes(run / "evidence") if path.endswith((".parquet", ".csv")) and "records" in path}
    assert raw == {f"records/{kind.format('int8')}" for kind in kinds}
    _build(run, run / "evidence", promoted=("vocabulary",))
    assert set(others) < set(_bytes(run / "evidence"))


def test_probes_are_packed_without_their_texts(run: Path) -> None:
    """Answers to the last bit, and nothing of what was asked."""
    before = pd.DataFrame(
        {"kind": ["typo"], "before": ["my secret"], "after": ["my secert"], "baseline_before_0": [0.1]}
    )
    before.to_parquet(run / "records" / "probes-int8.parquet")
    _build(run, run / "evidence")
    packed = (run / "evidence" / "records" / "probes-int8.parquet").read_bytes()
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(packed)), before.drop(columns=["before", "after"]))
    assert b"secret" not in packed


def test_a_table_that_is_none_is_refused(run: Path) -> None:
    """One sentence says which, and the pack that is there stays."""
    (run / "records" / "probes-int8.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="is no Parquet file"):
        _build(run, run / "evidence")


def test_twenty_rebuilds_give_the_same_bytes(run: Path) -> None:
    """Nothing of clock, chance or order gets into a pack; none of the rebuilds raises a false alarm."""
    folder = run / "evidence"
    _build(run, folder)
    first = _bytes(folder)
    for number in range(20):
        # The order in which parts are given and the clock of the files must not matter.
        parts = dict(reversed(PARTS.items())) if number % 2 else PARTS
        os.utime(run / "run.json", (number, number))
        _build(run, folder, parts)
        assert _bytes(folder) == first
        assert open_pack(folder)[1] == []


def test_another_time_changes_the_manifest_alone(run: Path) -> None:
    """The moment of building stands in the manifest and in no other file that this module writes."""
    _build(run, run / "evidence")
    first = _bytes(run / "evidence")
    _build(run, run / "evidence", built="2026-03-02T09:00:00Z")
    changed = {path for path, content in _bytes(run / "evidence").items() if first[path] != content}
    assert changed == {"MANIFEST.json"}


# --- what is there already --------------------------------------------------------------------------------------------


def test_an_unsigned_pack_is_replaced_as_a_whole(run: Path) -> None:
    """A file of the old pack that the new one does not have is gone, and nothing else is left beside it."""
    _build(run, run / "evidence", {**PARTS, "decisions/0002-old.md": b"# old\n"})
    _build(run, run / "evidence")
    assert not (run / "evidence" / "decisions" / "0002-old.md").exists()
    assert [path.name for path in run.iterdir() if path.name.startswith(".")] == []


def test_a_signed_pack_is_replaced_only_on_demand(tmp_path: Path) -> None:
    """Signatures are not lost by accident; when they are given up, envelope and keys go with the pack."""
    made = make_pack(tmp_path / "evidence")
    before = _bytes(made.folder)
    with pytest.raises(ParameterError, match="is signed"):
        _build(made.run_folder, made.folder)
    assert _bytes(made.folder) == before
    _build(made.run_folder, made.folder, force=True)
    assert set(before) - set(_bytes(made.folder)) == {"bundle.dsse.json", "keys/author.pub", "keys/reviewer.pub"}


def test_a_folder_that_is_no_pack_stays(run: Path) -> None:
    """Somebody's folder, a file and a link are not replaced; an empty folder is."""
    (run / "mine").mkdir()
    (run / "mine" / "thesis.txt").write_text("x")
    (run / "file").write_text("x")
    (run / "link").symlink_to(run / "mine")
    for name in ("mine", "file", "link"):
        with pytest.raises(ParameterError):
            _build(run, run / name)
    assert (run / "mine" / "thesis.txt").read_text() == "x"
    (run / "empty").mkdir()
    assert _build(run, run / "empty").files


def test_a_build_that_fails_leaves_the_old_pack(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stops a build, the old pack is untouched and no half of a new one is left."""
    _build(run, run / "evidence")
    before = _bytes(run / "evidence")

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("perflib.governance.evidence.build.write_manifest", stopped)
    with pytest.raises(KeyboardInterrupt):
        _build(run, run / "evidence", {**PARTS, "VERIFY.md": b"# new\n"})
    assert _bytes(run / "evidence") == before
    assert [path.name for path in run.iterdir() if path.name.startswith(".")] == []


def test_a_pack_that_cannot_take_its_place_leaves_the_old_one(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the last step fails, the old pack comes back; where a file stands in the way, one sentence says so."""
    _build(run, run / "evidence")
    before = _bytes(run / "evidence")
    rename = Path.rename

    def refusing(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(SetupError, match="No space left"):
        _build(run, run / "evidence", {**PARTS, "VERIFY.md": b"# new\n"})
    assert _bytes(run / "evidence") == before
    with pytest.raises(SetupError, match="choose another folder"):
        _build(run, run / "run.json" / "evidence")


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../out.json", "part `..`"),
        ("records/../../out.json", "part `..`"),
        ("/tmp/out.json", "absolute"),
        ("C:/out.json", "absolute"),
        ("records/a b.json", "no plain name"),
        ("MANIFEST.json", "listed or signed"),
        ("bundle.dsse.json", "listed or signed"),
        ("keys/author.pub", "listed or signed"),
        ("notes.txt", "does not belong"),
    ],
)
def test_a_part_stays_in_its_place(run: Path, path: str, words: str) -> None:
    """A part that leaves the folder, takes the manifest's place or is no part of a pack is refused; nothing is made."""
    with pytest.raises(ParameterError, match=re.escape(words)):
        _build(run, run / "evidence", {path: b"{}"})
    assert not (run / "evidence").exists()


@pytest.mark.parametrize("place", ["part", "record", "table", "putty"])
def test_a_private_key_is_not_packed(run: Path, tmp_path: Path, place: str) -> None:
    """A private key in a part, in a record or in the middle of a binary file stops the build, and is not shown."""
    make_key(tmp_path / "ann.key")
    pem = (tmp_path / "ann.key").read_bytes()
    if place == "putty":
        pem = b"PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\n"
    parts = dict(PARTS)
    if place in ("part", "putty"):
        parts["params/waivers.yaml"] = b"# " + pem
    elif place == "record":
        (run / "records" / "notes-run.json").write_bytes(pem)
    else:
        (run / "records" / "predictions-int8.parquet").write_bytes(b"PAR1\xff\x00" + pem + b"\xff")
    with pytest.raises(ParameterError, match="holds a private key") as caught:
        _build(run, run / "evidence", parts)
    assert pem.splitlines()[1].decode() not in str(caught.value)
    assert not (run / "evidence").exists()


def test_a_pack_has_at_most_ten_megabytes(run: Path) -> None:
    """The limit itself is allowed; one byte more is refused, with the largest files in the sentence."""
    _build(run, run / "evidence")
    total_bytes = sum(len(content) for path, content in _bytes(run / "evidence").items() if path != "MANIFEST.json")
    room_bytes = 10_000_000 - total_bytes + len(PARTS["VERIFY.md"])
    kept = {**PARTS, "VERIFY.md": b"x" * room_bytes}
    assert sum(one.size_bytes for one in _build(run, run / "evidence", kept).files) == 10_000_000
    with pytest.raises(ParameterError, match=r"10,000,001 bytes.*the largest files are VERIFY\.md \(9\.\d+ MB\)"):
        _build(run, run / "evidence", {**PARTS, "VERIFY.md": b"x" * (room_bytes + 1)})


def test_an_unfinished_run_has_no_pack(run: Path) -> None:
    """Without report or summary there is nothing to prove; a link in their place is not followed."""
    (run / "report.html").rename(run / "page.html")
    with pytest.raises(DataError, match=r"has no report\.html"):
        _build(run, run / "evidence")
    (run / "report.html").symlink_to(run / "page.html")
    with pytest.raises(DataError, match="plain file"):
        _build(run, run / "evidence")


# --- how to check it --------------------------------------------------------------------------------------------------


def test_the_page_says_how_to_check_a_pack() -> None:
    """The command, all exit codes, why keys in the pack prove nothing, and what changes with the time stand there."""
    page = instructions(run_id="20260301-080000_made_abcdef0", claimed=("int8",), left_out=())
    assert "perflib evidence verify DIR --trust author.pub --trust reviewer.pub --threshold 2" in page
    for code, words in CODES.items():
        assert f"| {code} | {words} |" in page
    for kind in layout.KINDS:
        assert (f"- `{kind.pattern}`" in page) is kind.is_time_dependent
    assert "prove nothing" in page
    check = PackCheck(0, "run", (), (), (), (("author", "FINGERPRINT"), ("reviewer", "FINGERPRINT")), 0.1)
    assert "\n".join(verdict_lines(check)) in page
    assert "All answers, example by example, are here." in page


def test_the_page_names_what_was_left_out() -> None:
    """Raw answers that stayed with the run are named; a name that is none shows as plain words."""
    odd = "records/predictions-<b>`a`.parquet"
    page = instructions(run_id="run", claimed=(), left_out=("records/probes-bf16.parquet", odd))
    assert "- `records/probes-bf16.parquet`\n" in page
    assert "<b>" not in page
    assert "says of no candidate" in page


def test_the_page_is_the_same_for_the_same_run() -> None:
    """Neither the order of the names nor the time of day shows in the page, so that it is no time-dependent file."""
    first = instructions(
        run_id="run", claimed=("a", "b"), left_out=("records/probes-c.parquet", "records/probes-d.parquet")
    )
    assert first == instructions(
        run_id="run", claimed=("b", "a"), left_out=("records/probes-d.parquet", "records/probes-c.parquet")
    )


def test_a_made_pack_can_be_signed_after_a_rebuild(tmp_path: Path) -> None:
    """A pack that was rebuilt by force takes new signatures."""
    made = make_pack(tmp_path / "evidence")
    _build(made.run_folder, made.folder, force=True)
    assert sign_pack(made.folder, key=made.author, role="author")
