"""Recompute one validation record: `python -m perflib.governance.recompute RUN_FOLDER NAME`; code 1 if any differs."""

import sys
from pathlib import Path

from perflib.errors import PerflibError
from perflib.governance.recompute.validation import recompute_validation


def main(arguments: list[str]) -> int:
    """Print what was compared, and on the error stream the names of what differs; return 0 if nothing does, else 1."""
    if len(arguments) != 2:
        print("usage: python -m perflib.governance.recompute RUN_FOLDER NAME", file=sys.stderr)
        return 1
    folder, name = arguments
    try:
        found = recompute_validation(Path(folder, "records"), name)
    except PerflibError as error:
        print(error, file=sys.stderr)
        return 1
    print(found)
    if found.differing:
        print(", ".join(found.differing), file=sys.stderr)
    return 1 if found.differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
