"""
The list of a pack's files with their digests: what is not on it does not belong to the pack.

    manifest = make_manifest(folder, run_id=…, run_ulid=…, built=…, claimed=("int8",), promoted=(), version=…)
    write_manifest(folder, manifest)
"""

import stat
from collections.abc import Sequence
from pathlib import Path

from perflib.errors import DataError
from perflib.governance.evidence import layout, strict
from perflib.governance.evidence.strict import shown
from perflib.records import dumps, sha256_bytes, write_bytes
from perflib.results.governance import Manifest, ManifestEntry


def make_manifest(
    folder: Path,
    *,
    run_id: str,
    run_ulid: str,
    built: str,
    claimed: Sequence[str],
    promoted: Sequence[str],
    version: str,
) -> Manifest:
    """
    List every file below a folder but the manifest, the signatures and the keys.

    Args:
        folder: Of the pack.
        run_id: Of the run that the pack proves.
        run_ulid: Of the same.
        built: When the pack was built: RFC 3339, UTC.
        claimed: Candidates that the pack says are approved.
        promoted: Candidates that a person has promoted.
        version: Of perflib.

    Raises:
        DataError: If there is a link, a device, an odd name, or two names that differ in capitals only.
        ParameterError: If a file does not belong to a pack.
    """
    return Manifest(
        run_id=run_id,
        run_ulid=run_ulid,
        built=built,
        perflib_version=version,
        claimed=tuple(sorted(claimed)),
        promoted=tuple(sorted(promoted)),
        files=tuple(_entry(folder, path) for path in _plain_paths(folder) if path not in layout.UNLISTED),
    )


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return the one way to write a manifest: sorted keys, one value a line, so that people can read and compare it."""
    return (dumps(manifest.to_dict(), indent=1) + "\n").encode()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a pack's `MANIFEST.json`, atomically."""
    write_bytes(folder / layout.MANIFEST_FILE, manifest_bytes(manifest))


def _plain_paths(folder: Path) -> list[str]:
    found = dict(strict.walk(folder))
    for path, status in found.items():
        wrong = strict.path_problem(path)
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{shown(path)} is a link or no plain file; a pack holds plain files only, so copy it.")
        if wrong:
            raise DataError(f"{shown(path)} cannot be in a pack: {wrong}; rename it.")
    twin = next(iter(strict.case_twins(list(found))), None)
    if twin is not None:
        raise DataError(f"{shown(twin)} differs from another file in capitals only; rename one of them.")
    return list(found)


def _entry(folder: Path, path: str) -> ManifestEntry:
    kind = layout.kind_of(path)
    content = strict.read_plain(folder / path, limit_bytes=layout.MAX_PACK_BYTES)
    return ManifestEntry(
        path=path,
        sha256=sha256_bytes(content),
        size_bytes=len(content),
        media_type=kind.media_type,
        role=kind.role,
        is_time_dependent=kind.is_time_dependent,
    )
