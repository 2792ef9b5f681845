"""Packs written by hand, file by file, for tests of one rule: only what the rule reads has to be true in them."""

import dataclasses
import datetime
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from perflib.governance.evidence.pack import Pack
from perflib.governance.evidence.rules.base import Look, Setting
from perflib.records import Record, dumps, sha256_bytes
from perflib.results.governance import Manifest, ManifestEntry, PackProblem

TODAY = datetime.date(2026, 3, 2)
BUILT = "2026-03-01T09:00:00+00:00"
SETTING = Setting(TODAY)


def as_bytes(content: Any) -> bytes:
    """Return what stands in a file: bytes as they are, text in UTF-8, a record or plain data as JSON."""
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode()
    return (dumps(content.to_dict() if isinstance(content, Record) else content, indent=1) + "\n").encode()


def entries_of(files: Mapping[str, bytes]) -> tuple[ManifestEntry, ...]:
    """Return the manifest's lines for files."""
    return tuple(
        ManifestEntry(path, sha256_bytes(content), len(content), "text/plain", "record", is_time_dependent=False)
        for path, content in sorted(files.items())
    )


def write_manifest(folder: Path, files: Mapping[str, bytes], **change: Any) -> Manifest:
    """Write the manifest of files that lie in a folder, or of what a tamper says that lies there."""
    manifest = dataclasses.replace(
        Manifest(folder.name, "01JNABCDEFGHJKMNPQRSTVWXYZ", BUILT, "0.1.0", (), (), entries_of(files)), **change
    )
    manifest.write(folder / "MANIFEST.json")
    return manifest


def write_pack(folder: Path, files: Mapping[str, Any], **change: Any) -> Path:
    """Write files and their manifest; return the folder."""
    contents = {path: as_bytes(content) for path, content in files.items()}
    for path, content in contents.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    write_manifest(folder, contents, **change)
    return folder


def hand_pack(files: Mapping[str, Any], **change: Any) -> Pack:
    """Return a pack that lies nowhere."""
    contents = {path: as_bytes(content) for path, content in files.items()}
    manifest = Manifest("made", "01JNABCDEFGHJKMNPQRSTVWXYZ", BUILT, "0.1.0", (), (), entries_of(contents))
    return Pack(Path("nowhere"), dataclasses.replace(manifest, **change), contents)


def broken(looks: Iterator[Look]) -> list[PackProblem]:
    """Return what a rule found wrong."""
    return [look for look in looks if look is not None]
