"""The list of a pack's files: complete, in one order, and refusing what two systems could read differently."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from perflib.errors import DataError, ParameterError, PerflibError
from perflib.governance.evidence import layout
from perflib.governance.evidence.manifest import make_manifest, manifest_bytes, write_manifest
from perflib.records import loads
from perflib.results.governance import Manifest

FILES = {
    "VERIFY.md": b"# How\n",
    "run.json": b"{}\n",
    "report.html": b"<p>\n",
    "records/build-int8.json": b"{}\n",
    "records/predictions-int8.parquet": b"PAR1",
    "candidates/int8/model.cdx.json": b"{}",
    "candidates/int8/gate.json": b"{}",
}


def _write(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def _manifest(folder: Path) -> Manifest:
    return make_manifest(
        folder,
        run_id="20260301-080000_made_abcdef0",
        run_ulid="01JNABCDEFGHJKMNPQRSTVWXYZ",
        built="2026-03-01T09:00:00Z",
        claimed=("small", "int8"),
        promoted=(),
        version="0.1.0",
    )


def test_every_file_is_listed_with_its_digest(tmp_path: Path) -> None:
    """Paths, digests and sizes are those of the files, sorted by path."""
    found = _manifest(_write(tmp_path))
    told = [(one.path, one.sha256, one.size_bytes) for one in found.files]
    assert told == [(path, hashlib.sha256(FILES[path]).hexdigest(), len(FILES[path])) for path in sorted(FILES)]
    assert found.claimed == ("int8", "small")


def test_the_manifest_lists_neither_itself_nor_signatures_nor_keys(tmp_path: Path) -> None:
    """What cannot be listed is passed over; the list is the same before and after signing."""
    before = _manifest(_write(tmp_path))
    write_manifest(tmp_path, before)
    _write(tmp_path, {"bundle.dsse.json": b"{}", "keys/author.pub": b"a", "keys/reviewer.pub": b"r"})
    assert _manifest(tmp_path) == before


def test_a_manifest_has_one_form(tmp_path: Path) -> None:
    """The bytes on disk are the canonical ones, with sorted keys, and give the same manifest again."""
    manifest = _manifest(_write(tmp_path))
    write_manifest(tmp_path, manifest)
    content = (tmp_path / "MANIFEST.json").read_bytes()
    assert content == manifest_bytes(manifest)
    assert list(json.loads(content)) == sorted(json.loads(content))
    assert Manifest.from_dict(loads(content)) == manifest


def _link(folder: Path) -> None:
    (folder / "report.html").unlink()
    (folder / "report.html").symlink_to(folder / "run.json")


def _folder_link(folder: Path) -> None:
    (folder / "records").rename(folder.parent / "elsewhere")
    (folder / "records").symlink_to(folder.parent / "elsewhere", target_is_directory=True)


REFUSED: dict[str, tuple[Callable[[Path], object], type[PerflibError], str]] = {
    "link": (_link, DataError, "no plain file"),
    "folder link": (_folder_link, DataError, "no plain file"),
    "dangling link": (lambda at: (at / "records/a.json").symlink_to("nowhere"), DataError, "no plain file"),
    "pipe": (lambda at: os.mkfifo(at / "records/a.json"), DataError, "no plain file"),
    "blank": (lambda at: _write(at, {"records/a b.json": b""}), DataError, "no plain name"),
    "hidden": (lambda at: _write(at, {"records/.a.json": b""}), DataError, "no plain name"),
    "line break": (lambda at: _write(at, {"records/a\n.json": b""}), DataError, "no plain name"),
    "long": (lambda at: _write(at, {f"records/{'a' * 200}.json": b""}), DataError, "longer than"),
    "twins": (lambda at: _write(at, {"records/Build-int8.json": b""}), DataError, "capitals only"),
    "unknown": (lambda at: _write(at, {"notes.txt": b""}), ParameterError, "does not belong"),
    "third key": (lambda at: _write(at, {"keys/third.pub": b""}), ParameterError, "does not belong"),
    "deeper": (lambda at: _write(at, {"records/more/a.json": b""}), ParameterError, "does not belong"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_in_a_pack_is_refused(tmp_path: Path, name: str) -> None:
    """Links, devices, odd names, twins and strangers each get one sentence."""
    spoil, kind, words = REFUSED[name]
    folder = _write(tmp_path / "pack")
    spoil(folder)
    with pytest.raises(kind, match=words):
        _manifest(folder)


@pytest.mark.parametrize(
    ("path", "role", "media_type"),
    [
        ("records/validation-int8.json", "record", "application/json"),
        ("records/predictions-int8.parquet", "raw answers", "application/vnd.apache.parquet"),
        ("candidates/int8/accuracy.json", "statement", "application/vnd.in-toto+json"),
        ("candidates/int8/model.cdx.json", "bill of materials", "application/vnd.cyclonedx+json"),
        ("attestations/provenance.json", "statement", "application/vnd.in-toto+json"),
    ],
)
def test_a_path_says_what_a_file_is(path: str, role: str, media_type: str) -> None:
    """Role and media type follow from the path alone."""
    assert (layout.kind_of(path).role, layout.kind_of(path).media_type) == (role, media_type)


def test_only_bills_of_materials_change_with_the_time_of_building() -> None:
    """Exactly the files that say when they were made are marked as time-dependent."""
    assert [one.pattern for one in layout.KINDS if one.is_time_dependent] == [
        "candidates/*/model.cdx.json",
        "sbom/env.cdx.json",
    ]
