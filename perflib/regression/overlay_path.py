"""
What an overlay does when its Python starts: it shows another environment's packages behind its own.

A copy lies in every overlay, beside a ``.pth`` file that calls it; so it imports the standard library alone.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class OwnFirst:
    """
    Finds what the overlay holds itself before anybody else is asked.

    An editable installation may put a finder of its own in front of the path. Parts of a namespace are left to the
    path, where all its folders are joined.

    Args:
        folder: The overlay's own packages.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module at the top lies in the overlay; None for any other."""
        if path is not None or name in sys.stdlib_module_names:
            return None
        spec = PathFinder.find_spec(name, [self._folder], target)
        return spec if spec is not None and spec.loader is not None else None


def look_behind(own: str, site_folders: Sequence[str], other_folders: Sequence[str]) -> None:
    """
    Put the folders of another environment behind everything that is on the path now.

    Args:
        own: The overlay's own packages.
        site_folders: Folders whose ``.pth`` files count too, such as those of editable installations.
        other_folders: What else that environment has on its path.
    """
    import site

    before = list(sys.path)
    for folder in site_folders:
        site.addsitedir(folder)
    sys.path += [folder for folder in other_folders if folder not in sys.path]
    # Some ``.pth`` files move their folders to the front.
    sys.path[:] = [*before, *(folder for folder in sys.path if folder not in before)]
    sys.meta_path.insert(0, OwnFirst(own))
