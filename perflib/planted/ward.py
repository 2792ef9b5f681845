"""
Patients: a model each, made from a session's baseline, and how it is asked; profiled as they are served.

    patient = make_patient(session, "A")
    profile = profile_patient(session, patient)
"""

import dataclasses

import numpy as np

from perflib import project
from perflib.artifact import Artifact, softmax
from perflib.benchmarking.lock import host_lock
from perflib.engines.torch_engine import builder_name
from perflib.errors import ParameterError, did_you_mean
from perflib.planted.models import LAYERS, PROBLEMS, pad_all, planted_classifier
from perflib.profiling.findings import Circumstances, find_all
from perflib.profiling.known_ceilings import ceilings_for, known_ceilings
from perflib.profiling.roofline import make_roofline
from perflib.profiling.sampling import ProfiledStep, make_step
from perflib.profiling.torch_profiler import profile_in_torch
from perflib.results import Findings, Profile
from perflib.session import Session
from perflib.workloads.bert import mean_pooled_classifier

HEALTHY = "healthy"


@dataclasses.dataclass(frozen=True)
class Patient:
    """A model, how it is asked, and what is wrong with it; nothing is wrong with the healthy one."""

    name: str
    problem: str
    artifact: Artifact
    step: ProfiledStep


def make_patient(
    session: Session, name: str, *, batch_example_count: int = 32, step_example_count: int = 128
) -> Patient:
    """
    Make a patient from the session's baseline, served in batches of texts of about one length.

    Args:
        session: Whose workload is a BERT encoder over texts.
        name: ``healthy``, or one of `PROBLEMS`.
        batch_example_count: Texts in a batch.
        step_example_count: Texts in a profiled step.

    Raises:
        ParameterError: If there is no such patient, or the workload's model is another.
    """
    if name not in (HEALTHY, *PROBLEMS):
        raise ParameterError(f"there is no patient `{name}`; {did_you_mean(name, (HEALTHY, *PROBLEMS))}")
    spec = session.baseline.spec
    if spec.builder != builder_name(mean_pooled_classifier):
        raise ParameterError(
            f"the problems are planted in a BERT encoder over texts, and `{session.workload.name}` has another model; "
            "choose reviews-tiny or sentiment-minilm."
        )
    problem = PROBLEMS.get(name, "")
    runtime = dataclasses.replace(spec.runtime, batching="sorted", batch_example_count=batch_example_count)
    folder = session.run.artifact_folder(_label(name))
    artifact = session.baseline.copy_to(folder, runtime=runtime)
    if problem in LAYERS:
        config = {**spec.config, "planted": problem}
        line = {"planted": {"problem": problem}}
        artifact = artifact.derive(folder, line, builder=builder_name(planted_classifier), config=config)
    step = make_step(session.inputs, runtime, "offline", example_count=step_example_count)
    if problem == "padding":
        step = pad_all(step, int(session.inputs.lengths().max()))
    return Patient(name, problem, artifact, step)


def profile_patient(session: Session, patient: Patient, *, active_step_count: int = 2) -> Profile:
    """Profile a patient as it is asked, and keep trace and record in the session's run."""
    label = _label(patient.name)
    folder = session.run.folder / "traces" / "raw"
    for old in folder.glob(f"{label}.*"):
        old.unlink()
    with host_lock():
        profile = profile_in_torch(
            patient.artifact, patient.step, name=label, folder=folder, active_step_count=active_step_count
        )
    session.keep(profile, label)
    return profile


def find_rules(session: Session, patient: Patient, profile: Profile) -> Findings:
    """Ask the library's rules what they make of a patient; the ceilings of its threads are measured once."""
    with host_lock():
        known = known_ceilings(session.card, cache=project.ceilings_dir(), thread_counts=(profile.thread_count,))
    ceilings = ceilings_for(known.ceilings, profile.thread_count)
    facts = Circumstances(lengths=tuple(int(length) for length in session.inputs.lengths()))
    roofs = (make_roofline(profile, ceilings),)
    return find_all([profile], roofs, session.card, ceilings, patient.artifact.spec, circumstances=facts)


def largest_difference(healthy: Patient, patient: Patient) -> float:
    """Return how far any probability of a patient is from the healthy model's, over the texts of the step."""
    before, after = (
        np.concatenate([softmax(one.artifact.open()(call.arrays)) for call in one.step.calls])
        for one in (healthy, patient)
    )
    return float(np.abs(after - before).max())


def _label(name: str) -> str:
    return name if name == HEALTHY else f"patient-{name}"
