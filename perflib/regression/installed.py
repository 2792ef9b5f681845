"""
What is installed beside the interpreter that runs this file: Python and every distribution, as JSON on standard output.

It imports the standard library alone, so that any interpreter can be asked, also one without perflib.

    python -P installed.py    # {"python": "3.11.7", "packages": [["numpy", "2.3.5"], …], …}
"""

import importlib.metadata
import json
import os
import platform
import re
import site
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path


def installed_packages(path: Sequence[str] | None = None) -> list[tuple[str, str]]:
    """
    Return canonical name and version of every distribution, sorted by name.

    Of several with one name the first on the path counts, as it does when it is imported. The current folder is left
    out: whoever stands in a checkout has not installed it.

    Args:
        path: Folders to look in; ``sys.path`` if not given.
    """
    here = os.path.realpath(Path.cwd())
    folders = [folder for folder in sys.path if folder and os.path.realpath(folder) != here] if path is None else path
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions(path=list(folders)):
        # Its metadata are parsed anew at every use. A folder of a broken installation may have none.
        metadata = distribution.metadata
        name, version = metadata["Name"], metadata["Version"]
        if name and version:
            found.setdefault(canonical(name), version)
    return sorted(found.items())


def canonical(name: str) -> str:
    """
    Return the one spelling of a package's name.

    Example:
        >>> canonical("Jinja2"), canonical("ruamel.yaml_clib")
        ('jinja2', 'ruamel-yaml-clib')
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def site_folders() -> list[str]:
    """Return the folders of packages that Python itself adds, whose ``.pth`` files it reads."""
    folders = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return [folder for folder in folders if folder in sys.path]


def other_folders() -> list[str]:
    """Return what else is on the path: neither the standard library nor a folder of packages."""
    known = {
        *site_folders(),
        *(os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")),
    }
    return [
        folder
        for folder in sys.path
        if os.path.isdir(folder)  # noqa: PTH112 -- the path holds plain words, and zips that are no folders
        and not {folder, os.path.realpath(folder), os.path.dirname(os.path.realpath(folder))} & known  # noqa: PTH120
    ]


def main() -> None:
    """Write what is installed."""
    found = {
        "python": platform.python_version(),
        "executable": sys.executable,
        "packages": installed_packages(),
        "site_folders": site_folders(),
        "other_folders": other_folders(),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
