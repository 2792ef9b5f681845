"""Every guardrail with its verdict, what was found, and who set the limit."""

import html

from perflib.gate_words import warning_words
from perflib.results import Gate, Validation
from perflib.tables.markup import pill, table


def gates_table(validation: Validation, *, is_open_only: bool = False) -> str:
    """
    Return the guardrails: the verdict, what was found and is allowed, and who set that.

    Args:
        validation: With its gates.
        is_open_only: Leave out those that simply pass; the board beside it has their numbers.
    """
    gates = [gate for gate in validation.gates if not is_open_only or gate.verdict != "PASS"]
    rows = [
        (
            html.escape(f"{gate.id} {gate.name}"),
            pill(gate.verdict),
            html.escape(_why(gate)),
            html.escape(f"{gate.source}{warning_words(gate)}"),
        )
        for gate in gates
    ]
    which = "Guardrails that did not simply pass," if is_open_only else "Guardrails"
    caption = f"{which} of profile {validation.profile}, fixed before the answers were computed."
    return table(caption, ("gate", "verdict", "what was found", "limit set by"), rows)


def _why(gate: Gate) -> str:
    return f"{gate.sentence} Waived: {gate.waiver}" if gate.waiver else gate.sentence
