"""
Any folder or bucket that fsspec knows: whole objects in, checked objects out, and one sentence for what goes wrong.

Objects are named by their content and never changed, so two who write at once lose nothing.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from perflib.errors import DataError, PerflibError, SetupError
from perflib.records import sha256_bytes, write_bytes


@dataclasses.dataclass(frozen=True)
class SharedPlace:
    """One opened place; names are relative to it, their parts between slashes."""

    files: Any
    root: str

    def names(self, folder: str) -> list[str]:
        """
        Return the names of all objects below a folder, relative to it and sorted.

        Raises:
            DataError: If one leads out of it.
        """
        start = f"{self.root}/{folder}"
        if not self.files.exists(start):
            return []
        found = sorted(str(path).removeprefix(f"{start}/") for path in self.files.find(start))
        for name in found:
            parts = PurePosixPath(name).parts
            if name.startswith("/") or ".." in parts or "\\" in name:
                raise DataError(f"{name!r} in {folder} of the shared place leads out of it; remove it there.")
        return found

    def read(self, name: str) -> bytes:
        """Return one object."""
        content: bytes = self.files.cat_file(f"{self.root}/{name}")
        return content

    def read_named(self, name: str) -> bytes:
        """Return one object whose name ends in its sha256; `DataError` if it is another's."""
        content = self.read(name)
        if PurePosixPath(name).stem[-64:] != sha256_bytes(content):
            raise DataError(
                f"{name} in the shared place was changed after it was pushed; remove it there and push again from "
                "where it is whole."
            )
        return content

    def fetch(self, name: str, path: Path) -> None:
        """Copy one object into a file, however large it is."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.files.get_file(f"{self.root}/{name}", str(path))

    def put(self, name: str, content: bytes) -> None:
        """Write one object, whole or not at all, unless it is there."""
        path = f"{self.root}/{name}"
        if self.files.exists(path):
            return
        if self._is_folder:
            # A bucket shows an object when it is whole; on a disk a push that is cut short would leave half of one.
            write_bytes(Path(path), content)
        else:
            self.files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self.files.pipe_file(path, content)

    @property
    def _is_folder(self) -> bool:
        protocol = self.files.protocol
        return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


@contextlib.contextmanager
def opened(url: str) -> Iterator[SharedPlace]:
    """
    Open a shared place. What its library says is told without the address, which may hold a secret.

    Raises:
        SetupError: If no library knows the address, or the place cannot be reached or written.
    """
    protocol = url.partition("://")[0] if "://" in url else "file"
    try:
        yield _open(url, protocol)
    except PerflibError:
        raise
    except Exception as error:  # noqa: BLE001 - every backend has errors of its own
        raise SetupError(
            f"the shared place (`{protocol}`) cannot be used ({type(error).__name__}); check its address, your rights "
            "and the network."
        ) from None


def _open(url: str, protocol: str) -> SharedPlace:
    import fsspec

    try:
        files, root = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise SetupError(
            f"no place of the kind `{protocol}` can be opened here ({type(error).__name__}); check the word, or "
            "install the package of fsspec for it."
        ) from None
    # What a listing said before may be of another push.
    files.invalidate_cache()
    return SharedPlace(files, str(root).rstrip("/"))
