"""
Artifacts and environment locks of good runs, kept by digest, so that a suspect has something to be held against.

    kept = Kept()
    kept.keep_artifact(artifact)
    kept.keep_lock(lock)
    goods = kept.retain(goods)      # removes what no good run needs any more

A folder is ``artifacts/<digest>/`` and ``locks/<sha256>.json``. Whoever keeps something and writes down afterwards that
it is good holds `Kept.locked` around both; else another process could remove it in between.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perflib import project
from perflib.artifact import SPEC_FILE, Artifact, ArtifactSpec
from perflib.errors import DataError, SetupError
from perflib.regression.locks import lock_sha256
from perflib.regression.retention import Files, choose_goods, total_bytes
from perflib.results.history import EnvironmentLock, Good

if TYPE_CHECKING:
    from filelock import FileLock

LIMIT_BYTES = 2_000_000_000
GOOD_COUNT = 3
_WAIT_SEC = 300.0
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Kept:
    """
    What is kept in one folder; several processes may work with it.

    Args:
        folder: Where; ``history/kept`` of the outputs if not given.
        limit_bytes: The most that may be kept.
    """

    def __init__(self, folder: Path | None = None, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder = folder or project.outputs_dir() / "history" / "kept"
        self._limit_bytes = limit_bytes
        self._lock: FileLock | None = None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """
        Hold the folder's lock; the same object may take it again inside.

        Raises:
            SetupError: If the folder cannot be written, or another process holds it for five minutes.
        """
        from filelock import FileLock, Timeout

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # One for each, or a second use inside the first would wait for itself.
            self._lock = self._lock or FileLock(self.folder / ".lock", timeout=_WAIT_SEC)
            self._lock.acquire()
        except Timeout:
            raise SetupError(
                f"another process has worked in {self.folder} for {_WAIT_SEC:g} s; wait for it to end."
            ) from None
        except OSError as error:
            raise SetupError(
                f"the folder {self.folder} cannot be made or locked ({error.strerror}); make it writable."
            ) from error
        try:
            yield
        finally:
            self._lock.release()

    def keep_artifact(self, artifact: Artifact) -> Path:
        """
        Keep an artifact, linking its files where the file system can; return its folder.

        One that is kept already is left as it is, and replaced if it was damaged.

        Raises:
            DataError: If it is larger than all that may be kept, or its files are not what its record says.
            SetupError: If the disk is full or cannot be written.
        """
        if artifact.size_bytes > self._limit_bytes:
            raise DataError(
                f"the artifact {artifact.folder} has {artifact.size_bytes:,} bytes and at most {self._limit_bytes:,} "
                "are kept in all; it cannot stand for a good run, make it smaller."
            )
        folder = self._artifact_folder(artifact.digest)
        with self.locked():
            try:
                is_kept = self.artifact(artifact.digest) is not None
            except DataError:
                is_kept = False
            if not is_kept:
                self._copy(artifact, folder)
        return folder

    def artifact(self, digest: str) -> Artifact | None:
        """
        Return a kept artifact after checking all its files; None if it is not kept.

        Raises:
            DataError: If it is damaged.
        """
        folder = self._artifact_folder(digest)
        if not folder.is_dir():
            return None
        found = Artifact.load(folder)
        if found.digest != digest:
            raise DataError(f"{folder} holds artifact {found.digest[:12]}… under another name; remove the folder.")
        return found

    def keep_lock(self, lock: EnvironmentLock) -> str:
        """
        Keep an environment lock; return the digest that names it.

        Raises:
            DataError: If it cannot be written.
            SetupError: If the folder cannot be written.
        """
        digest = lock_sha256(lock)
        with self.locked():
            lock.write(self._lock_path(digest))
        return digest

    def lock(self, sha256: str) -> EnvironmentLock | None:
        """
        Return a kept lock; None if it is not kept.

        Raises:
            DataError: If it is damaged.
        """
        path = self._lock_path(sha256)
        if not path.is_file():
            return None
        found = EnvironmentLock.read(path)
        if lock_sha256(found) != sha256:
            raise DataError(f"{path} is not the lock that its name says; remove the file.")
        return found

    def size_bytes(self) -> int:
        """Return what all kept artifacts take, by the sizes in their records; a file that several share counts once."""
        return total_bytes(_files(folder) for folder in self._artifacts_dir.glob("[!.]*"))

    def retain(
        self, goods: Sequence[Good], *, limit_bytes: int | None = None, good_count: int = GOOD_COUNT
    ) -> tuple[Good, ...]:
        """
        Remove every artifact and lock that no good run needs, and return the goods that are left.

        `perflib.regression.retention.choose_goods` says which.

        Args:
            goods: All goods of the history.
            limit_bytes: The most that may be kept; that of this object if not given.
            good_count: Runs of role ``good`` in each series.

        Raises:
            SetupError: If something cannot be removed.
        """
        with self.locked():
            sizes = {digest: _files(self._artifacts_dir / digest) for digest in {one.artifact_sha256 for one in goods}}
            limit_bytes = self._limit_bytes if limit_bytes is None else limit_bytes
            left = choose_goods(goods, sizes, limit_bytes=limit_bytes, good_count=good_count)
            self._remove_others(left)
        return left

    @property
    def _artifacts_dir(self) -> Path:
        return self.folder / "artifacts"

    def _artifact_folder(self, digest: str) -> Path:
        return self._artifacts_dir / _checked(digest)

    def _lock_path(self, sha256: str) -> Path:
        return self.folder / "locks" / f"{_checked(sha256)}.json"

    def _copy(self, artifact: Artifact, folder: Path) -> None:
        try:
            artifact.copy_to(folder)
        except DataError:
            # Its files were damaged where they came from.
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _remove_others(self, left: Collection[Good]) -> None:
        artifacts, locks = {one.artifact_sha256 for one in left}, {f"{one.lock_sha256}.json" for one in left}
        try:
            for path in self._artifacts_dir.glob("*"):
                if path.name not in artifacts:
                    _remove_folder(path)
            for path in (self.folder / "locks").glob("*"):
                if path.name not in locks:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise SetupError(
                f"what is not needed any more in {self.folder} cannot be removed ({error.strerror}); "
                "remove it yourself or make the folder writable."
            ) from error


def _files(folder: Path) -> Files:
    """Return the recorded sizes of a kept artifact's files; none where it is not kept or its record is damaged."""
    try:
        spec = ArtifactSpec.read(folder / SPEC_FILE)
        return {(found.st_dev, found.st_ino): file.bytes for file in spec.files if (found := _stat(folder / file.path))}
    except DataError:
        return {}


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _remove_folder(path: Path) -> None:
    """Take it away under another name first: what is cut short is no half artifact."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    doomed = path if path.name.startswith(".") else path.rename(path.with_name(f".{path.name}.gone"))
    shutil.rmtree(doomed)


def _checked(digest: str) -> str:
    # Histories are copied between machines; a name from one must not lead out of the folder.
    if _DIGEST.fullmatch(digest) is None:
        raise DataError(f"{digest!r:.80} is no sha256; the record that names it is damaged.")
    return digest
