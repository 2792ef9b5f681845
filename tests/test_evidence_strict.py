"""What a stranger wrote is read without harm: every form of file, name, document and table that has been thought of."""

import io
import json
import os
import string
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from perflib.errors import DataError
from perflib.governance.evidence import strict
from perflib.governance.evidence.pack import MissingFileError, open_pack
from perflib.governance.evidence.secrets import foreign_words, secrets
from perflib.results.governance import PackProblem, Pointer
from tests.hand_packs import as_bytes, hand_pack, write_manifest, write_pack

FILES = {"run.json": {"a": [1, {"b/c": "x"}]}, "records/one.json": {"n": 1}, "params/a.yaml": "a: 1\n"}

# In two parts: no file of ours names somebody's home, and this one speaks of such names.
HOME, ROOT = "/" + "home", "/" + "root"


def problems(folder: Path) -> list[tuple[int, str]]:
    """Return code and path of everything that is wrong with the files of a pack."""
    pack, found, _ = open_pack(folder)

    assert (pack is None) == bool(found)
    return [(one.code, one.path) for one in found]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pack of three files that holds together."""
    return write_pack(tmp_path / "evidence", FILES)


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_whole_pack_is_opened(folder: Path) -> None:
    """Its documents can be read, and every file was counted."""
    pack, found, files_count = open_pack(folder)

    assert pack is not None
    assert (found, files_count) == ([], 4)
    assert pack.json("run.json") == FILES["run.json"]
    assert pack.paths("records/", ".json") == ["records/one.json"]
    assert pack.yaml("params/a.yaml") == {"a": 1}


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda folder: (folder / "run.json").unlink(), "run.json"),
        (lambda folder: (folder / "more.json").write_text("{}"), "more.json"),
        (lambda folder: (folder / ".hidden").write_text(""), ".hidden"),
        (lambda folder: (folder / "a b.json").write_text("{}"), "a b.json"),
        (lambda folder: (folder / "RUN.json").write_text("{}"), "run.json"),
        (lambda folder: (folder / "link.json").symlink_to("run.json"), "link.json"),
        (lambda folder: (folder / "up").symlink_to("..", target_is_directory=True), "up"),
        (lambda folder: os.mkfifo(folder / "pipe"), "pipe"),
        (lambda folder: (folder / "run.json").write_text("{}"), "run.json"),
        (lambda folder: (folder / "params/a.yaml").write_text("a: 2\n"), "params/a.yaml"),
        (lambda folder: (folder / "MANIFEST.json").unlink(), "MANIFEST.json"),
    ],
)
def test_a_file_that_is_not_as_the_manifest_says_is_named(folder: Path, change: Any, wanted: str) -> None:
    """Changed, missing, added, linked or not plain: code 3, and which one."""
    change(folder)

    assert problems(folder) == [(3, wanted)]


def test_a_listed_file_that_becomes_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """Even where it leads to the very same bytes."""
    (tmp_path / "outside.json").write_bytes((folder / "run.json").read_bytes())
    (folder / "run.json").unlink()
    (folder / "run.json").symlink_to(tmp_path / "outside.json")

    assert problems(folder) == [(3, "run.json")]


def test_a_link_is_not_read_even_between_looking_and_reading(tmp_path: Path) -> None:
    """The reader itself refuses links, pipes and folders, and never waits."""
    (tmp_path / "a").write_text("x")
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")

    for name in ("link", "pipe", ".", "none"):
        with pytest.raises(DataError):
            strict.read_plain(tmp_path / name, limit_bytes=10)
    assert strict.read_plain(tmp_path / "a", limit_bytes=1) == b"x"
    with pytest.raises(DataError, match="larger than 0 bytes"):
        strict.read_plain(tmp_path / "a", limit_bytes=0)


def test_sizes_and_counts_have_limits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly at its limit a pack passes, one above it is refused before anything is read."""
    sizes = [path.stat().st_size for path in folder.rglob("*.*") if path.is_file()]
    monkeypatch.setattr(strict, "MAX_FILE_COUNT", 4)
    monkeypatch.setattr(strict, "MAX_FILE_BYTES", max(sizes))
    monkeypatch.setattr(strict, "MAX_PACK_BYTES", sum(sizes))
    assert problems(folder) == []

    monkeypatch.setattr(strict, "MAX_PACK_BYTES", sum(sizes) - 1)
    assert problems(folder) == [(3, ".")]
    monkeypatch.setattr(strict, "MAX_FILE_BYTES", max(sizes) - 1)
    assert (3, "MANIFEST.json") in problems(folder)
    monkeypatch.setattr(strict, "MAX_FILE_COUNT", 3)
    assert problems(folder) == [(3, ".")]


def test_folders_without_end_are_not_entered(folder: Path) -> None:
    """A folder deeper than a pack goes is a problem itself."""
    deep = folder.joinpath(*["d"] * 9)
    deep.mkdir(parents=True)
    (deep / "x").write_text("x")

    assert problems(folder) == [(3, "/".join(["d"] * 9))]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/etc/hostname", 3),
        ("../run.json", 3),
        ("records/../run.json", 3),
        ("C:/x.json", 3),
        ("records\\one.json", 3),
        ("records//one.json", 3),
        ("./run.json", 3),
        ("keys/author.pub", 3),
        ("MANIFEST.json", 3),
        ("Run.json", 3),
    ],
)
def test_a_path_in_the_manifest_never_leads_out(folder: Path, path: str, code: int) -> None:
    """It is refused by its name, whatever lies there."""
    contents = {name: as_bytes(content) for name, content in FILES.items()}
    write_manifest(folder, {**contents, path: b""})

    assert {found for found, _ in problems(folder)} == {code}


def manifest_with(folder: Path, old: str, new: str) -> None:
    """Change one place of the manifest's text."""
    text = (folder / "MANIFEST.json").read_text()

    assert old in text
    (folder / "MANIFEST.json").write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"run_id"', '"run_id": "a", "run_id"'),
        ('"claimed": []', '"claimed": [NaN]'),
        ('"schema": "perflib/manifest/1"', '"schema": "perflib/manifest/2"'),
        ('"run_id"', '"more": 1, "run_id"'),
        ('"size_bytes": ', '"size_bytes": 1e999'),
        ("{", "[" * 100_000),
    ],
)
def test_a_manifest_that_is_not_strict_is_of_another_schema(folder: Path, old: str, new: str) -> None:
    """Repeated keys, NaN, unknown fields, nesting without end: code 2."""
    manifest_with(folder, old, new)

    assert problems(folder) == [(2, "MANIFEST.json")]


def test_a_digest_in_capitals_is_no_digest(folder: Path) -> None:
    """One way of writing, or two manifests would say the same with two digests of their own."""
    sha256 = json.loads((folder / "MANIFEST.json").read_text())["files"][0]["sha256"]
    manifest_with(folder, sha256, sha256.upper())

    assert 2 in {code for code, _ in problems(folder)}


def test_names_of_files_cannot_write_on_a_terminal(folder: Path) -> None:
    """Control codes in a name come out as escapes."""
    (folder / "a\x1b[2J\n.json").write_text("{}")

    ((_, path),) = problems(folder)
    assert set(path) <= set(string.printable) - set("\x1b\n")


# --- documents ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": 1, "a": 1}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b"[" * 100_000,
        b"1" * 5_000,
        '{"a": 1}'.encode("utf-16"),
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": 1} x',
        b"",
    ],
)
def test_json_that_two_readers_could_read_differently_is_refused(content: bytes) -> None:
    """Also in other encodings than UTF-8, which Python's reader would guess."""
    with pytest.raises(DataError):
        strict.load_json(content, source="x.json")


@pytest.mark.parametrize(
    "content",
    [
        b"a: 1\na: 2\n",
        b"a: &x [1]\nb: *x\n",
        b"a: !!python/object/apply:os.system [id]\n",
        b"a: !x 1\n",
        b"- 1\n",
        b"a: [\n",
        b"a: \xff\n",
        b"? [1]\n: 2\n",
        b"",
        b"a: " + b"[" * 5_000,
    ],
)
def test_yaml_that_is_not_plain_is_refused(content: bytes) -> None:
    """No tags, no anchors, no repeated keys, nothing that makes an object."""
    with pytest.raises(DataError):
        strict.load_yaml(content, source="x.yaml")


def test_a_day_in_yaml_stays_text() -> None:
    """2026-99-99 is for whoever reads days to refuse."""
    assert strict.load_yaml(b"a: 2026-01-02\n", source="x") == {"a": "2026-01-02"}


def parquet(frame: pd.DataFrame) -> bytes:
    """Return a table's file."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def test_a_table_is_measured_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million equal values take no room in the file and much in memory."""
    content = parquet(pd.DataFrame({"a": np.zeros(1_000), "b": np.zeros(1_000)}))
    monkeypatch.setattr(strict, "MAX_TABLE_CELLS_COUNT", 2_000)
    assert len(strict.load_table(content, source="x")) == 1_000

    monkeypatch.setattr(strict, "MAX_TABLE_CELLS_COUNT", 1_999)
    with pytest.raises(DataError, match="1,000 rows of 2 columns"):
        strict.load_table(content, source="x")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100, b"PAR1" + b"\xff" * 100 + b"PAR1"])
def test_what_is_no_table_is_refused(content: bytes) -> None:
    """Whatever its name says."""
    with pytest.raises(DataError):
        strict.load_table(content, source="x.parquet")


# --- pointers -------------------------------------------------------------------------------------------------------


def test_a_pointer_finds_its_value() -> None:
    """Escapes as RFC 6901 has them; an empty pointer is the whole document."""
    pack = hand_pack(FILES)

    assert pack.value(Pointer("run.json", "/a/1/b~1c")) == "x"
    assert pack.value(Pointer("run.json", "")) == FILES["run.json"]
    assert pack.value(Pointer("params/a.yaml", "")) == b"a: 1\n"


@pytest.mark.parametrize(
    "pointer", ["/a/2", "/a/-1", "/a/01", "/a/٠", "/b", "a", "/a/0/x", "/a/9999999999999999999999"]
)
def test_a_pointer_at_nothing_is_refused(pointer: str) -> None:
    """Also where Python itself would count from the end."""
    with pytest.raises(DataError):
        hand_pack(FILES).value(Pointer("run.json", pointer))


def test_a_pointer_does_not_leave_the_pack() -> None:
    """Nor does it look into what is no JSON."""
    with pytest.raises(DataError, match="leads out"):
        hand_pack(FILES).value(Pointer("../run.json", ""))
    with pytest.raises(DataError, match="not JSON"):
        hand_pack(FILES).value(Pointer("params/a.yaml", "/a"))
    with pytest.raises(MissingFileError):
        hand_pack(FILES).value(Pointer("records/none.json", ""))


# --- secrets --------------------------------------------------------------------------------------------------------

KEY = "-----BEGIN {}PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n"


@pytest.mark.parametrize(
    "text",
    [
        KEY.format(""),
        KEY.format("RSA "),
        KEY.format("EC "),
        KEY.format("ENCRYPTED "),
        KEY.format("OPENSSH "),
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "a1B2" * 9,
        "https://user:pass" + "word@example.org/x",
        "xoxb-" + "123456789012-123456789012-" + "a" * 24,
        "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxIn0." + "c2lnbmF0dXJlc2lnbmF0dXJl",
    ],
)
def test_a_secret_is_found(text: str) -> None:
    """Private keys in every dress, and tokens by their form."""
    assert list(secrets(f"before {text} after")) != []


def test_digests_and_prose_are_no_secrets() -> None:
    """What a pack is full of must not cry wolf."""
    text = (
        "sha256 " + "0123456789abcdef" * 4 + " the password: is 5 characters; -----BEGIN PUBLIC KEY-----\nMCowBQYDK2Vw"
    )

    assert list(secrets(text)) == []
    assert list(foreign_words(f"https://example.org{HOME}/x and records{HOME}/y, ..{ROOT}/z, 2.0.local")) == []


@pytest.mark.parametrize(
    "text",
    [
        "/home" + "/ann/x",
        '"/Users' + '/ann"',
        "at /root" + "/.cache",
        "C:" + "\\Users" + "\\ann",
        "C:" + "\\\\Users" + "\\\\ann",
        "ip-10-0-0-12",
        "db.eu-1.compute.internal",
        '"hostname": "x"',
        "at buildhost7.",
    ],
)
def test_traces_of_a_machine_are_found(text: str) -> None:
    """Homes with either slash, names of hosts by their form, and names that are given."""
    assert list(foreign_words(text, host_names=("buildhost7",))) != []


def test_a_problem_has_its_fields() -> None:
    """What the reader says can be kept in a record."""
    _, found, _ = open_pack(Path("no-such-folder"))

    assert found == [PackProblem(3, "I1", ".", found[0].sentence)]
