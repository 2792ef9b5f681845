"""
`VERIFY.md`: how somebody who was handed a pack, and trusts nobody, checks it without a network.

    instructions(run_id=…, claimed=("int8",), left_out=("records/predictions-bf16.parquet",))
"""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from perflib import units
from perflib.governance.evidence import layout, strict
from perflib.governance.evidence.verify import CODES
from perflib.plain import markdown

if TYPE_CHECKING:
    from jinja2 import Template


def instructions(*, run_id: str, claimed: Sequence[str], left_out: Sequence[str]) -> str:
    """
    Return the page that says how to check a pack.

    Args:
        run_id: Of the run.
        claimed: Candidates that the pack says are approved.
        left_out: Raw answers of the run that the pack does not hold, as paths below the run.
    """
    return _template().render(
        run_id=run_id,
        claimed=sorted(claimed),
        left_out=sorted(left_out),
        codes=sorted(CODES.items()),
        time_dependent=[kind.pattern for kind in layout.KINDS if kind.is_time_dependent],
        limit=units.size(layout.MAX_PACK_BYTES),
        layout=layout,
    )


@functools.cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("perflib", "templates/evidence"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 -- Markdown: foreign words go through filters
    )
    environment.filters["plain"] = markdown
    environment.filters["code"] = _code
    return environment.get_template("VERIFY.md.j2")


def _code(name: str) -> str:
    """Return a name as code; one that a pack would not take may hold anything, and becomes plain words."""
    return markdown(name) if strict.path_problem(name) else f"`{name}`"
