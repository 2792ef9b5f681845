"""What a learner reads: suspects, counts, whether a guess was right, the lines that did it, and what heals."""

import html
import inspect
import json
from collections.abc import Mapping

from perflib import units
from perflib.errors import did_you_mean
from perflib.planted.models import GUILTY
from perflib.planted.signs import SUSPECTS, Diagnosis, Symptoms, symptoms
from perflib.results import Findings, Profile
from perflib.sentences.profile import KIND_WORDS
from perflib.tables.markup import table

_FIXES: Mapping[str, str] = {
    "one-by-one": "give each layer the whole batch at once",
    "padding": "pad every batch to its own longest text",
    "conversions": "leave the mask as it came: one row for each text, in the model's own precision",
}
# A test of probabilities that allows less would fail from one processor to the next.
_VISIBLE = 1e-4
# Another precision may help whoever is healthy too.
_ALWAYS_THERE = frozenset({"bf16", "int8"})
# Prices come from seconds, so a smaller rise may be noise.
_LEAST_RISE_RATIO = 1.15


def suspects_table() -> str:
    """Return what may be guessed."""
    rows = [(f"<code>{html.escape(name)}</code>", html.escape(what)) for name, what in SUSPECTS.items()]
    return table("The suspects. Three of them are guilty.", ("guess", "what it would be"), rows)


def symptoms_table(healthy: Profile, patient: Profile) -> str:
    """Return what one step counts, healthy and ill, and how many times as much that is."""
    before, after = symptoms(healthy), symptoms(patient)
    pairs = zip(_symptom_rows(before), _symptom_rows(after), strict=True)
    rows = [
        (word, one, other, units.speedup(many / few) if few else units.UNKNOWN)
        for (word, one, few), (_, other, many) in pairs
    ]
    caption = f"What a step of {patient.step_example_count} texts counts. Seconds are noisy, and these are not."
    return table(caption, ("", healthy.name, patient.name, "times"), rows)


def shapes_table(profile: Profile, *, kind: str = "", top_count: int = 8) -> str:
    """Return the operators and shapes that take most of a profile's time, or of one kind of work."""
    steps_count = profile.active_step_count
    shown = [row for row in profile.shapes if kind in ("", row.kind)][:top_count]
    rows = [
        (
            f"<code>{html.escape(row.operator.removeprefix('aten::'))}</code>",
            " · ".join("×".join(map(str, size)) for size in json.loads(row.shapes) if size),
            f"{row.call_count / steps_count:,.0f}",
            units.duration(row.self_sec / steps_count),
        )
        for row in shown
    ]
    of_kind = f" ({kind})" if kind else ""
    caption = f"Operators of {profile.name}{of_kind} by the shapes of their inputs, per step."
    return table(caption, ("operator", "inputs", "calls", "self time"), rows)


def difference_sentence(differences: Mapping[str, float], predicted: float) -> str:
    """Say how far the patients' answers are from the healthy model's, beside what was predicted."""
    largest = max(differences.values())
    told = ", ".join(f"{name} {difference:.1g}" for name, difference in differences.items())
    seen = "a test of answers can see it" if largest > _VISIBLE else "rounding, which no test of answers sees"
    return (
        f"Largest difference of any probability: {told}. You predicted {predicted:g}, and it is {largest:.1g}: {seen}."
    )


def guess_sentence(guess: str, found: Diagnosis) -> str:
    """Say whether a guess was right; a word that names no suspect is no reason to stop."""
    if not guess:
        return "You wrote no guess down. **The question stays open.**"
    if guess not in SUSPECTS:
        return f"`{guess}` is no suspect; {did_you_mean(guess, SUSPECTS)} **The question stays open.**"
    return f"You guessed {guess}. **The guess was {'right' if guess == found.suspect else 'wrong'}.**"


def reveal_sentence(found: Diagnosis) -> str:
    """Say what is wrong, by which counts, and which part of the bar grew most."""
    grew = "No kind of work grew"
    if found.grown_sec > 0:
        grew = f"In the bars {KIND_WORDS[found.grown_kind]} grew most, by {units.duration(found.grown_sec)} a step"
    named = f"It is **{found.suspect}**: {SUSPECTS[found.suspect]}. " if found.suspect else ""
    return f"{named}{found.evidence[:1].upper()}{found.evidence[1:]}. {grew}."


def rules_sentence(healthy: Findings, patient: Findings) -> str:
    """Say which rule of the library promises more for the patient than for the healthy model."""
    before = {one.rule: one.predicted_speedup_ratio for one in healthy.findings}
    asked = [one for one in patient.findings if one.rule not in _ALWAYS_THERE]
    rises = [(one.predicted_speedup_ratio / before.get(one.rule, 1.0), one) for one in asked]
    rise, best = max(rises, key=lambda pair: pair[0], default=(1.0, None))
    if best is None or rise < _LEAST_RISE_RATIO:
        return "No rule of the library promises clearly more here than for the healthy model."
    was = units.speedup(before[best.rule]) if best.rule in before else "nothing"
    return (
        f"Of the library's rules `{best.rule}` rose most: it promises {units.speedup(best.predicted_speedup_ratio)}, "
        f"and for the healthy model {was}. {best.claim}"
    )


def guilty_lines(problem: str) -> str:
    """Return the lines that did it, as Markdown."""
    return f"```python\n{inspect.getsource(GUILTY[problem]).strip()}\n```"


def fix_sentence(found: Diagnosis, healthy: Profile, patient: Profile) -> str:
    """Say what to change, and what a step took before and after; one process, so it is no verdict."""
    if not found.suspect:
        return "There is nothing to heal."
    return (
        f"To heal it, {_FIXES[found.suspect]}. Unwatched, a step took {units.duration(patient.step_sec)} ill and takes "
        f"{units.duration(healthy.step_sec)} healthy ({units.speedup(patient.step_sec / healthy.step_sec)}). That is "
        "orientation from a few steps in one process, and no verdict."
    )


def score_sentence(guesses: Mapping[str, str], found: Mapping[str, Diagnosis]) -> str:
    """Say how many guesses were right, and who had what."""
    told = ", ".join(f"{name} {one.suspect}" for name, one in found.items())
    if not any(guesses.get(name) for name in found):
        return f"You wrote no guess down, and it was: {told}."
    right_count = sum(guesses.get(name) == one.suspect for name, one in found.items())
    return f"{right_count} of {len(found)} guesses were right: {told}."


def _symptom_rows(one: Symptoms) -> list[tuple[str, str, int]]:
    return [
        ("tokens computed", f"{one.token_count:,}", one.token_count),
        ("operations in products", units.rate(one.flop_count, "FLOP"), one.flop_count),
        ("products called", f"{one.product_call_count:,}", one.product_call_count),
        ("operators called", f"{one.operator_call_count:,}", one.operator_call_count),
        ("bytes moved to change a type", units.size(one.converted_bytes), one.converted_bytes),
    ]
