"""
The source that decides what a stage makes: its own module and what that uses of stages, engines and architectures.

The whole library would be too much (a new figure would train every student again), the stage's file alone too little.
"""

import ast
import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from perflib import records

# Changes elsewhere (errors, progress bars, records) do not change weights.
_ROOMS = (
    *("perflib.compression.", "perflib.engines."),
    *("perflib.workloads.bert", "perflib.workloads.convnet", "perflib.workloads.finetune"),
)
# They say how to build, not what is built.
_MANNERS = {
    "perflib.compression.stage",
    "perflib.compression.build",
    "perflib.compression.sources",
    "perflib.compression.materials",
}


def source_sha256(kind: type) -> str:
    """Return a digest of the source behind a stage's class; the same for two classes of one module."""
    return _sha256(kind.__module__)


def source_modules(module: str) -> list[str]:
    """
    Return the modules whose source decides what a stage makes, sorted.

    Args:
        module: Where the stage's class is defined; it may belong to another package.
    """
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [other for other in _imported(name) if other.startswith(_ROOMS) and other not in _MANNERS]
    return sorted(found)


@functools.lru_cache(maxsize=64)
def _sha256(module: str) -> str:
    paths = [(name, _path(name)) for name in source_modules(module)]
    return records.sha256_json([(name, records.sha256_file(path)) for name, path in paths if path is not None])


def _imported(module: str) -> Iterator[str]:
    """Name every module that a file imports, also inside functions, or writes out as a word to import later."""
    path = _path(module)
    if path is None:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            # What is taken from a package may be a module of its own.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("perflib."):
            yield node.value.partition(":")[0]


def _path(module: str) -> Path | None:
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None  # a name that is no module, such as a class taken from one
    return Path(found.origin) if found and found.origin and found.origin.endswith(".py") else None
