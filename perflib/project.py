"""
Where things are: the project's folders, the user's cache, and the name of a new run.

Notebooks run from the project's root (papermill), from `notebooks/` (JupyterLab) and from copies elsewhere (nbval);
all of them find the same `params/` and `outputs/` here.
"""

import datetime
import os
import re
import subprocess
import warnings
from pathlib import Path

from perflib.errors import SetupError

_MARKERS = ("notebooks", "params", "perflib")


def root() -> Path:
    """
    Find the project: ``PERFLIB_ROOT``, else the nearest folder above this one that looks like it, else the checkout.

    Raises:
        SetupError: If there is none.
    """
    named = os.environ.get("PERFLIB_ROOT")
    here = Path.cwd()
    checkout = Path(__file__).resolve().parents[1]
    candidates = [Path(named).resolve()] if named else [here, *here.parents, checkout]
    for folder in candidates:
        if all((folder / marker).is_dir() for marker in _MARKERS):
            return folder
    raise SetupError(
        f"no perflib project at or above {named or here}; go to the cloned folder or set PERFLIB_ROOT to it."
    )


def outputs_dir() -> Path:
    """Return the folder of runs: ``PERFLIB_OUTPUTS_DIR`` or ``outputs/`` of the project."""
    named = os.environ.get("PERFLIB_OUTPUTS_DIR")
    return Path(named).resolve() if named else root() / "outputs"


def cache_dir() -> Path:
    """Return the user's cache of prepared workloads: ``PERFLIB_CACHE_DIR`` or the platform's place for it."""
    from platformdirs import user_cache_path

    named = os.environ.get("PERFLIB_CACHE_DIR")
    return Path(named).resolve() if named else user_cache_path("perflib")


def without_home(word: str) -> str:
    """
    Return a word of a command line with the user's home folder as ``~``: records leave the house, and names with them.

    Example:
        >>> without_home(str(Path.home() / "venv/bin/python"))
        '~/venv/bin/python'
    """
    home = str(Path.home())
    return word.replace(f"{home}/", "~/") if len(home) > 1 else word


def answers_dir() -> Path:
    """Return where answers of models are cached."""
    return cache_dir() / "predictions"


def builds_dir() -> Path:
    """Return where built stages of recipes are cached."""
    return cache_dir() / "builds"


def ceilings_dir() -> Path:
    """Return where the measured ceilings of machines are kept, a file for each hardware class."""
    return cache_dir() / "ceilings"


def lock_dir() -> Path:
    """Return where the host's benchmark lock lies: ``PERFLIB_LOCK_DIR`` or the user's runtime folder."""
    from platformdirs import user_runtime_path

    named = os.environ.get("PERFLIB_LOCK_DIR")
    if named:
        return Path(named).resolve()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where the login made no runtime folder; the one in /tmp serves
        return user_runtime_path("perflib")


def commit7() -> str:
    """Return the first seven digits of the checked-out commit, or ``nogit``."""
    try:
        reply = subprocess.run(
            ["git", "-C", str(root()), "rev-parse", "--short=7", "HEAD"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "nogit"
    return reply.stdout.strip()[:7] if reply.returncode == 0 else "nogit"


def new_run_dir(params_name: str, *, outputs: Path | None = None, now: datetime.datetime | None = None) -> Path:
    """
    Make a new run folder ``YYYYMMDD-HHMMSS_<params>_<commit7>``, with ``-2``, ``-3`` … on collision.

    Args:
        params_name: The stem of the params file.
        outputs: Where runs lie; `outputs_dir` if not given.
        now: The time in the name; the present if not given.

    Raises:
        SetupError: If the folder cannot be made.
    """
    outputs = outputs or outputs_dir()
    moment = now or datetime.datetime.now(datetime.UTC)
    word = re.sub(r"[^A-Za-z0-9.-]+", "-", params_name) or "run"
    base = f"{moment:%Y%m%d-%H%M%S}_{word}_{commit7()}"
    for attempt in range(1, 1000):
        folder = outputs / (base if attempt == 1 else f"{base}-{attempt}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
        except OSError as error:
            raise SetupError(
                f"the run folder {folder} cannot be made ({error.strerror}); "
                "choose a writable one with --run-dir or PERFLIB_OUTPUTS_DIR."
            ) from error
    raise SetupError(f"a thousand runs named {base} exist in {outputs}; move some away.")
