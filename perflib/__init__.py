"""
perflib: make a machine-learning model cheaper to run, and prove it.

The public names below are loaded when they are first used, so that importing perflib costs nothing.
"""

import importlib
from typing import Any

_PLACES = {
    "Artifact": "perflib.artifact",
    "Encoded": "perflib.encoded",
    "Run": "perflib.runs",
    "Session": "perflib.session",
    "Workload": "perflib.workloads.base",
    "build_candidate": "perflib.compression.build",
    "compare": "perflib.benchmarking.compare",
    "get_workload": "perflib.workloads",
    "parse_recipe": "perflib.compression.stage",
    "run_params": "perflib.pipeline",
    "validate": "perflib.validation.gates",
}

__all__ = [
    "Artifact",
    "Encoded",
    "Run",
    "Session",
    "Workload",
    "build_candidate",
    "compare",
    "get_workload",
    "parse_recipe",
    "run_params",
    "validate",
]


def __getattr__(name: str) -> Any:
    """Import a public name from where it lives."""
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"perflib has no `{name}`; public are {', '.join(__all__)}.")
