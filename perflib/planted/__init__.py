"""
Three models that are ill on purpose, for `notebooks/learn/reading_a_profile`: equal answers, wasted time.

    healthy, patient = (make_patient(session, name) for name in ("healthy", "A"))
    found = diagnosis(profile_patient(session, healthy), profile_patient(session, patient))
    found.suspect

If you are here to learn, read the notebook first: this folder names what you are asked to find.
Every patient does real work that nobody asked for. A diagnosis is read from counts, which no noise can change.
"""

from perflib.planted.models import PROBLEMS, plant
from perflib.planted.signs import SUSPECTS, Diagnosis, Symptoms, diagnosis, grown_kinds, symptoms
from perflib.planted.telling import (
    difference_sentence,
    fix_sentence,
    guess_sentence,
    guilty_lines,
    reveal_sentence,
    rules_sentence,
    score_sentence,
    shapes_table,
    suspects_table,
    symptoms_table,
)
from perflib.planted.ward import Patient, find_rules, largest_difference, make_patient, profile_patient

__all__ = [
    "PROBLEMS",
    "SUSPECTS",
    "Diagnosis",
    "Patient",
    "Symptoms",
    "diagnosis",
    "difference_sentence",
    "find_rules",
    "fix_sentence",
    "grown_kinds",
    "guess_sentence",
    "guilty_lines",
    "largest_difference",
    "make_patient",
    "plant",
    "profile_patient",
    "reveal_sentence",
    "rules_sentence",
    "score_sentence",
    "shapes_table",
    "suspects_table",
    "symptoms",
    "symptoms_table",
]
