"""Modules of a profile, with the layers of a stack taken together: `layers.0.attention` and its like are one row."""

from collections.abc import Collection

from perflib.results.profile import ModuleTime, Profile


def grouped_modules(profile: Profile) -> tuple[ModuleTime, ...]:
    """Return the modules with the index of every layer replaced by ``*``, summed, by falling own time."""
    parents = {
        ".".join(parts[:end])
        for parts in (row.module.split(".") for row in profile.modules)
        for end in range(len(parts))
    }
    groups: dict[str, list[ModuleTime]] = {}
    for row in profile.modules:
        groups.setdefault(group_name(row.module, parents), []).append(row)
    summed = [
        ModuleTime(
            module=name,
            call_count=sum(row.call_count for row in rows),
            self_sec=sum(row.self_sec for row in rows),
            total_sec=sum(row.total_sec for row in rows),
        )
        for name, rows in groups.items()
    ]
    return tuple(sorted(summed, key=lambda row: (-row.self_sec, row.module)))


def group_name(module: str, parents: Collection[str]) -> str:
    """
    Replace the indices of layers in a dotted name; a plain module in a list keeps its own, for it is like no other.

    Args:
        module: The name.
        parents: Names of the modules that hold others.

    Example:
        >>> [group_name(name, {"layers", "layers.0"}) for name in ("layers.0", "layers.0.attention", "features.3", "0")]
        ['layers.*', 'layers.*.attention', 'features.3', '0']
    """
    parts = module.split(".")
    return ".".join(
        "*" if place and part.isdigit() and ".".join(parts[: place + 1]) in parents else part
        for place, part in enumerate(parts)
    )
