"""
YAML that people write, read so that nothing surprises: small, flat, every key once, and values that are plain data.

A params file is code in disguise, so its keys must be identifiers that a notebook could hold.
"""

import keyword
import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from perflib.errors import ParameterError, did_you_mean

MAX_FILE_BYTES = 1_000_000
MAX_DEPTH = 20


class StrictLoader(yaml.SafeLoader):
    """Plain YAML only: no tags, no anchors, no repeated keys; a date stays the text that was written."""

    yaml_implicit_resolvers = {  # noqa: RUF012 -- PyYAML's own class attribute
        first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse what points elsewhere or names a type."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.YAMLError("it holds an anchor or an alias")
        if getattr(event, "tag", None):
            raise yaml.YAMLError(f"it holds the tag {event.tag}")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that stands twice."""
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.YAMLError(f"key {key!r} is no plain word")
            if key in seen:
                raise yaml.YAMLError(f"key `{key}` stands twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """
    Read one YAML mapping.

    Raises:
        ParameterError: If it is missing, empty, too large, not plain YAML, or no mapping of identifiers.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ParameterError(f"{path} is larger than {MAX_FILE_BYTES:,} bytes; a params file is a few lines.")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ParameterError(_missing(path)) from None
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a path with a NUL in it
        raise ParameterError(f"{path} cannot be read as UTF-8 text ({error}); write it again.") from error
    try:
        document = yaml.load(text, Loader=StrictLoader)  # noqa: S506 -- a stricter child of SafeLoader
    # ValueError: YAML takes 2001-99-99 for a date, 0x_ for a number and any count of digits for an integer.
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ParameterError(f"{path} is not plain YAML ({reason}); write keys and values only.") from error
    if document is None:
        raise ParameterError(f"{path} is empty; write `key: value` lines.")
    if not isinstance(document, dict):
        raise ParameterError(f"{path} holds a {type(document).__name__}, not `key: value` lines.")
    _check_plain(document, path)
    return document


def _missing(path: Path) -> str:
    nearby = [file.name for file in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
    return f"{path} does not exist; {did_you_mean(path.name, nearby)}"


def _check_plain(value: Any, path: Path, *, place: tuple[str, ...] = ()) -> None:
    where = f"`{'.'.join(place)}` in {path}"
    if len(place) > MAX_DEPTH:
        raise ParameterError(f"{path} is nested deeper than {MAX_DEPTH} levels; a params file is flat.")
    if isinstance(value, dict):
        for key, inner in value.items():
            if not place and not _is_identifier(key):
                raise ParameterError(
                    f"{path}: {key!r} is no parameter name; use letters, digits and `_`, not starting with a digit."
                )
            if not isinstance(key, str) or not key.isprintable():
                raise ParameterError(f"{path}: {key!r} is no key; write a plain word.")
            _check_plain(inner, path, place=(*place, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _check_plain(inner, path, place=(*place, str(number)))
    elif isinstance(value, float) and not math.isfinite(value):
        raise ParameterError(f"{where} is {value}, which is not a number that a run can use.")
    elif not isinstance(value, str | int | float | bool | None):
        raise ParameterError(f"{where} is {value!r}, a {type(value).__name__}; put it in quotes.")


def _is_identifier(key: Any) -> bool:
    return isinstance(key, str) and key.isascii() and key.isidentifier() and not keyword.iskeyword(key)
