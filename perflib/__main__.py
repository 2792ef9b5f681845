"""``python -m perflib`` is ``perflib``."""

from perflib.cli import main

main()
