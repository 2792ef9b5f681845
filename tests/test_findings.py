"""Findings: every rule speaks where it applies and is silent elsewhere, and prices can be worked out by hand."""

import dataclasses
import re
from typing import Any

import pytest

from perflib import project
from perflib.artifact import ArtifactSpec, Lineage, Runtime
from perflib.errors import ParameterError
from perflib.machine import MachineCard
from perflib.profiling.ceilings import attainable_sec
from perflib.profiling.findings import MIN_SAVING_RATIO, RULES, Circumstances, amdahl, combined_speedup, find_all
from perflib.results import Ceilings, Finding, OperatorTime, Profile, Roofline, RooflinePoint, ShapeTime
from tests.synthetic_profiles import STEP_COUNT, STEP_SEC, make_ceilings
from tests.synthetic_profiles import make_profile as make_watched_profile

EXPERIMENTS = {path.stem for path in (project.root() / "params" / "experiments").glob("*.yaml")}
VNNI = ("avx2", "avx512f", "avx512_vnni", "amx_bf16", "amx_int8")
# As they come, each pair holds a long and a short text; sorted, each pair is of one length.
LENGTHS = (8, 2, 8, 2, 8, 2, 8, 2)
WHOLE_SEC = sum(STEP_SEC.values())


def make_profile(**changes: Any) -> Profile:
    """Make a profile whose profiler took no time, unless a time is given."""
    profile = make_watched_profile(**changes)
    return profile if "unwatched_sec" in changes else dataclasses.replace(profile, unwatched_sec=profile.wall_sec)


def make_card(flags: tuple[str, ...] = VNNI, **changes: Any) -> MachineCard:
    """Make the card of a two-core machine."""
    card = MachineCard(
        hardware_class="two-cores",
        cpu_model="A processor",
        isa_flags=flags,
        core_count=2,
        memory_bytes=2**33,
        gpus=(),
        governor=None,
        has_turbo=None,
        is_container=False,
        is_virtual=False,
        thread_count=2,
        operating_system="Linux",
        kernel="6",
        python="3.11",
        versions={},
    )
    return dataclasses.replace(card, **changes)


def make_spec(**changes: Any) -> ArtifactSpec:
    """Make the record of an eager fp32 artifact that is served in pairs."""
    spec = ArtifactSpec(
        engine="torch",
        precision="fp32",
        builder=None,
        config={},
        labels=("bad", "good"),
        runtime=Runtime(batch_example_count=2),
        files=(),
        lineage=Lineage("toy", None, (), {}),
    )
    return dataclasses.replace(spec, **changes)


def make_roofline(profile: Profile, ceilings: Ceilings, *, points: tuple[RooflinePoint, ...] | None = None) -> Roofline:
    """Put the products of a profile under the roof, or these points."""
    made = points or tuple(
        RooflinePoint(
            **{field.name: getattr(row, field.name) for field in dataclasses.fields(row)},
            attainable_sec=attainable_sec(row.flop_count, row.moved_bytes, ceilings, row.precision),
        )
        for row in profile.shapes
        if row.flop_count
    )
    return Roofline(
        name=profile.name,
        scenario=profile.scenario,
        artifact_sha256=profile.artifact_sha256,
        thread_count=2,
        points=made,
        floor_sec=sum(point.attainable_sec for point in made) / profile.active_step_count,
        step_sec=profile.step_sec,
    )


def found(*profiles: Profile, rooflines: tuple[Roofline, ...] = (), **changes: Any) -> dict[str, Finding]:
    """Find everything with a usual case and return it by rule and scenario."""
    card, spec = changes.pop("card", make_card()), changes.pop("spec", make_spec())
    ceilings = changes.pop("ceilings", make_ceilings())
    circumstances = Circumstances(**changes)
    findings = find_all(profiles, rooflines, card, ceilings, spec, circumstances=circumstances).findings
    return {f"{one.rule} {one.scenario}": one for one in findings}


def single_profile(**kind_sec: float) -> Profile:
    """Make one call of which nearly half is dispatch, unless said otherwise; the profiler took nothing."""
    sec = dict.fromkeys(STEP_SEC, 0.0) | {"matrix": 0.004, "elementwise": 0.001, "framework": 0.004} | kind_sec
    return make_profile(kind_sec=sec, scenario="single", step_example_count=1, step_token_count=20, real_token_count=20)


def with_operators(*rows: tuple[str, str, float, int]) -> Profile:
    """Make a profile of these operators alone: name, kind, seconds and operations of a step."""
    whole = make_profile()
    operators = tuple(
        OperatorTime(name, kind, STEP_COUNT, STEP_COUNT * sec, STEP_COUNT * sec, 0.1, STEP_COUNT * flops, 0)
        for name, kind, sec, flops in rows
    )
    return dataclasses.replace(whole, operators=operators)


# --- Amdahl -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "factor", "expected"),
    [(0.0, None, 1.0), (0.5, None, 2.0), (0.5, 2.0, 4 / 3), (1.0, 4.0, 4.0), (0.9, 1.0, 1.0), (0.5, 0.5, 2 / 3)],
)
def test_amdahls_law(share: float, factor: float | None, expected: float) -> None:
    """Worked out by hand, with a part that goes away, stays, or becomes slower."""
    assert amdahl(share, factor) == pytest.approx(expected)


@pytest.mark.parametrize(("share", "factor"), [(-0.1, 2.0), (1.1, 2.0), (0.5, 0.0), (0.5, -1.0), (1.0, None)])
def test_what_amdahl_cannot_price_is_refused(share: float, factor: float | None) -> None:
    """Shares outside 0 to 1, factors that are not positive, and a whole that vanishes."""
    with pytest.raises(ParameterError):
        amdahl(share, factor)


def test_parts_together_are_priced_like_one_after_the_other() -> None:
    """The time that is left is the sum of what is left of the parts."""
    share, factor = combined_speedup([(0.4, 4.0), (0.2, None), (0.1, 1.0)])

    assert 1 / amdahl(share, factor) == pytest.approx(0.3 + 0.1 + 0.0 + 0.1)
    assert combined_speedup([(0.25, None), (0.5, None)]) == (0.75, None)


# --- the list ---------------------------------------------------------------------------------------------------


def full_list() -> dict[str, Finding]:
    """Find everything in a batch and a call of an eager baseline, with all circumstances."""
    offline, single, ceilings = make_profile(), single_profile(), make_ceilings()
    return found(
        offline,
        single,
        rooflines=(make_roofline(offline, ceilings), make_roofline(single, ceilings)),
        ceilings=ceilings,
        lengths=LENGTHS,
        encode_share_ratio={"offline": 0.1},
        load_sec=2.0,
        p50_sec=0.01,
    )


def test_findings_come_by_falling_saving() -> None:
    """The first line is what to try first."""
    savings = [one.saving_ratio for one in full_list().values()]

    assert len(savings) > 6
    assert savings == sorted(savings, reverse=True)
    assert min(savings) >= MIN_SAVING_RATIO


def test_every_price_follows_from_the_share_and_the_factor() -> None:
    """Nothing is predicted that Amdahl's law does not give."""
    for one in full_list().values():
        assert one.predicted_speedup_ratio == pytest.approx(amdahl(one.share_ratio, one.part_speedup_ratio)), one.rule


def test_every_finding_is_told_and_names_a_real_experiment() -> None:
    """Claim, evidence with numbers, assumption; the experiment's file is there and its recipe begins as ours does."""
    for one in full_list().values():
        assert one.claim.endswith("."), one.rule
        assert one.assumption, one.rule
        assert re.search(r"\d", one.evidence), one.rule
        assert not one.experiment or one.experiment in EXPERIMENTS, one.rule


def test_findings_survive_the_trip_through_a_file() -> None:
    """No price is infinite, even where nearly everything could go."""
    sec = dict.fromkeys(STEP_SEC, 0.0) | {"elementwise": 1.0}
    findings = find_all([make_profile(kind_sec=sec)], [], make_card(), make_ceilings(), make_spec())

    assert findings.findings[0].rule == "unfused"
    assert findings.findings[0].predicted_speedup_ratio == pytest.approx(50.0)
    assert type(findings).from_dict(findings.to_dict()) == findings


def test_a_finding_below_the_least_saving_is_not_made() -> None:
    """Two percent may be worth an experiment, a little less is not."""
    shown = found(make_profile(), encode_share_ratio={"offline": 0.0201})
    hidden = found(make_profile(), encode_share_ratio={"offline": 0.0199})

    assert "encoding offline" in shown
    assert "encoding offline" not in hidden


def test_records_that_do_not_belong_together_are_refused() -> None:
    """No profile, two of one scenario, two artifacts."""
    one, other = make_profile(), make_profile(scenario="single", artifact_sha256="b" * 64)
    rest = (make_card(), make_ceilings(), make_spec())
    for profiles in ([], [one, one], [one, other]):
        with pytest.raises(ParameterError):
            find_all(profiles, [], *rest)
    with pytest.raises(ParameterError, match="2 artifacts"):
        find_all([one], [make_roofline(other, make_ceilings())], *rest)


def test_rules_have_names_of_their_own() -> None:
    """A finding is known by its rule and its scenario."""
    assert len({rule.__name__ for rule in RULES}) == len(RULES)


# --- serving ----------------------------------------------------------------------------------------------------


def test_padding_is_priced_from_the_exact_batches() -> None:
    """Four pairs of 8 and 2 tokens: 64 padded tokens as they come, 40 sorted; attention by the square."""
    one = found(make_profile(), lengths=LENGTHS)["padding offline"]
    attention, idle = STEP_SEC["attention"] / WHOLE_SEC, 0.026 / WHOLE_SEC
    left = idle + (1 - idle - attention) * 40 / 64 + attention * (4 * 64 + 4 * 4) / (8 * 64)

    assert one.predicted_speedup_ratio == pytest.approx(1 / left)
    assert one.experiment == "sorted"
    assert "64" in one.evidence
    assert "40" in one.evidence
    assert one.claim.startswith("38 %")


@pytest.mark.parametrize(
    ("spec", "lengths"),
    [
        (make_spec(runtime=Runtime("sorted", batch_example_count=2)), LENGTHS),
        (make_spec(runtime=Runtime(batch_example_count=1)), LENGTHS),
        (make_spec(), (5,) * 8),
        (make_spec(), None),
    ],
)
def test_no_padding_no_finding(spec: ArtifactSpec, lengths: tuple[int, ...] | None) -> None:
    """Sorted already, one by one, all of one length, or nobody knows."""
    assert "padding offline" not in found(make_profile(), single_profile(), spec=spec, lengths=lengths)


def test_what_every_batch_costs_is_told_by_two_sizes() -> None:
    """10 ms at 20 tokens and 14 ms at 40 leave 6 ms that no token pays for; a batch four times as large shares them."""
    single, offline = (
        make_profile(
            scenario=scenario, step_token_count=tokens, real_token_count=tokens, unwatched_sec=STEP_COUNT * sec
        )
        for scenario, tokens, sec in (("single", 20, 0.010), ("offline", 40, 0.014))
    )
    one = found(single, offline)["small-batch offline"]

    assert one.share_ratio == pytest.approx(6 / 14)
    assert one.predicted_speedup_ratio == pytest.approx(14 / (8 + 6 / 4))
    assert one.recipe == ({"runtime": {"batch": 8}},)


def test_two_batches_in_a_step_are_taken_one_by_one() -> None:
    """The cost of a call is of one call, however many a step has."""
    single, offline = (
        make_profile(
            scenario=scenario,
            calls_per_step_count=calls,
            step_token_count=calls * tokens,
            unwatched_sec=STEP_COUNT * calls * sec,
        )
        for scenario, calls, tokens, sec in (("single", 32, 20, 0.010), ("offline", 4, 40, 0.014))
    )

    assert found(single, offline)["small-batch offline"].share_ratio == pytest.approx(6 / 14)


def test_a_large_batch_is_not_called_small() -> None:
    """Where time follows the tokens, batches are large enough."""
    single = make_profile(scenario="single", step_token_count=20, unwatched_sec=STEP_COUNT * 0.010)
    offline = make_profile(step_token_count=2000, unwatched_sec=STEP_COUNT * 0.990)

    assert "small-batch offline" not in found(single, offline)


@pytest.mark.parametrize(
    ("threads", "replicas", "cores", "is_found"),
    [(2, 1, 2, False), (3, 1, 2, True), (1, 2, 2, False), (2, 2, 2, True), (4, 1, 8, False)],
)
def test_more_threads_than_cores_are_found(threads: int, replicas: int, cores: int, *, is_found: bool) -> None:
    """Threads of all replicas count; as many as there are cores are right."""
    spec = make_spec(runtime=Runtime(thread_count=threads, replica_count=replicas))
    names = found(make_profile(), spec=spec, core_count=cores)

    assert ("oversubscription offline" in names) is is_found


def test_oversubscription_costs_the_surplus_and_says_how_many_fit() -> None:
    """Eight threads on two cores: what they compute takes four times as long."""
    one = found(make_profile(), thread_count=8)["oversubscription offline"]

    assert one.part_speedup_ratio == 4.0
    assert one.share_ratio == pytest.approx(1 - 0.026 / WHOLE_SEC)
    assert one.recipe == ({"runtime": {"threads": 2, "replicas": 1}},)


def test_serial_time_leaves_cores_idle() -> None:
    """A third of a batch on one of two threads: replicas halve that third, if nobody has them yet."""
    sec = dict.fromkeys(STEP_SEC, 0.0) | {"matrix": 0.2, "framework": 0.1}
    profile = make_profile(kind_sec=sec)
    one = found(profile)["idle-cores offline"]

    assert one.predicted_speedup_ratio == pytest.approx(1 / (2 / 3 + 1 / 6))
    assert one.recipe == ({"runtime": {"replicas": 2, "threads": 1}},)
    for spec in (
        make_spec(runtime=Runtime(thread_count=1)),
        make_spec(runtime=Runtime(thread_count=1, replica_count=2)),
        make_spec(engine="aotinductor"),
    ):
        assert "idle-cores offline" not in found(profile, spec=spec)


def point(self_sec: float, best_sec: float, **changes: Any) -> RooflinePoint:
    """Make a product that is bound by the processor, unless its bytes say otherwise."""
    one = RooflinePoint(
        "aten::addmm", "matrix", "[[8], [2, 4], [4, 8]]", "fp32", 3, self_sec, int(best_sec * 200e9), 1, best_sec
    )
    return dataclasses.replace(one, **changes)


def test_a_small_product_may_be_quicker_on_one_thread() -> None:
    """It reaches a tenth of a roof of two threads; at the half that a batch reaches, one thread needs 4 ms of 10."""
    offline, single, ceilings = make_profile(), single_profile(), make_ceilings()
    batch = make_roofline(offline, ceilings, points=(point(1.0, 0.5),))
    call = make_roofline(single, ceilings, points=(point(0.010, 0.001),))
    one = found(offline, single, rooflines=(batch, call))["small-call-threads single"]

    assert one.part_speedup_ratio == pytest.approx(2.5)
    assert one.share_ratio == pytest.approx(0.010 / single.wall_sec)
    as_good = make_roofline(single, ceilings, points=(point(0.010, 0.004),))
    assert "small-call-threads single" not in found(offline, single, rooflines=(batch, as_good))


# --- between the products ---------------------------------------------------------------------------------------


def test_a_launch_bound_call_is_found_without_the_profilers_own_time() -> None:
    """4 of 9 ms are dispatch; of those 1.5 were the profiler's."""
    profile = single_profile()
    watched = dataclasses.replace(profile, unwatched_sec=profile.wall_sec * 7.5 / 9)

    assert found(profile)["dispatch single"].share_ratio == pytest.approx(4 / 9)
    one = found(watched)["dispatch single"]
    assert one.share_ratio == pytest.approx(2.5 / 7.5)
    assert one.predicted_speedup_ratio == pytest.approx(7.5 / 5)
    assert one.experiment == "openvino"


def test_the_profilers_own_time_is_nobodys_share() -> None:
    """It is taken off between operators, so the products' share grows; more than there is cannot be taken off."""
    profile = make_profile()
    for unwatched_sec, left_sec in ((1.01, WHOLE_SEC), (1 - 0.013 / WHOLE_SEC, WHOLE_SEC - 0.013), (0.5, 0.494)):
        watched = dataclasses.replace(profile, unwatched_sec=profile.wall_sec * unwatched_sec)
        one = found(watched, spec=make_spec(engine="openvino"))["int8 offline"]

        assert one.share_ratio == pytest.approx(0.34 / left_sec)


def test_only_half_of_a_call_is_called_launch_bound() -> None:
    """4 of 9 ms are much, 5 of 10 are the larger part."""
    assert "launch-bound" not in found(single_profile())["dispatch single"].claim
    assert "launch-bound" in found(single_profile(framework=0.005))["dispatch single"].claim


@pytest.mark.parametrize(("framework_sec", "is_found"), [(0.0005, False), (0.0006, True)])
def test_a_little_dispatch_is_usual(framework_sec: float, *, is_found: bool) -> None:
    """Below a tenth of a call nobody calls it launch-bound."""
    assert ("dispatch single" in found(single_profile(framework=framework_sec))) is is_found


def test_dispatch_is_cured_by_what_the_artifact_has_not_yet() -> None:
    """An engine for eager code, graphs on a GPU, planned lengths for a quantized engine, and nothing for the rest."""
    on_gpu = found(single_profile(), spec=make_spec(runtime=Runtime(device="cuda")))["dispatch single"]
    in_engine = found(single_profile(), spec=make_spec(engine="openvino", precision="int8"))["dispatch single"]

    assert on_gpu.recipe == ({"engine": {"name": "torch-compile"}},)
    assert in_engine.experiment == "int8-bucketed"
    planned = make_spec(engine="openvino", precision="int8", options={"shapes": "bucketed"})
    assert "dispatch single" not in found(single_profile(), spec=planned)
    assert "dispatch single" not in found(single_profile(), spec=make_spec(engine="onnxruntime"))


def test_what_lies_between_the_products_can_be_fused() -> None:
    """Elementwise operators, normalisation and copies: 86 of 520 ms; the largest are named."""
    one = found(make_profile())["unfused offline"]

    assert one.predicted_speedup_ratio == pytest.approx(WHOLE_SEC / (WHOLE_SEC - 0.086))
    assert one.evidence.startswith("gelu 9 %")
    assert "copy_ is memory traffic" in one.evidence
    assert one.experiment == "aotinductor"
    assert "unfused offline" not in found(make_profile(), spec=make_spec(engine="openvino"))


def test_attention_in_pieces_is_found() -> None:
    """Softmax goes, and its products become as quick for each operation as the linear layers."""
    rows = (
        ("aten::addmm", "matrix", 0.2, 1000),
        ("aten::bmm", "matrix", 0.1, 100),
        ("aten::_softmax", "reduction", 0.05, 0),
    )
    one = found(with_operators(*rows))["separate-attention offline"]

    assert one.share_ratio == pytest.approx(0.15 / WHOLE_SEC)
    assert one.part_speedup_ratio == pytest.approx(0.15 / 0.02)
    fused = ("aten::_scaled_dot_product_flash_attention_for_cpu", "attention", 0.1, 100)
    assert "separate-attention offline" not in found(with_operators(*rows, fused))
    assert "separate-attention offline" not in found(with_operators(*rows[:2]))


def test_rescaling_is_found_where_there_is_any() -> None:
    """A tenth of the time goes to int8 and back; floating point has none."""
    sec = {"quantization": WHOLE_SEC / 9}
    spec = make_spec(precision="int8", engine="aotinductor")
    one = found(make_profile(kind_sec=sec), spec=spec)["rescaling offline"]

    assert one.predicted_speedup_ratio == pytest.approx(10 / 9)
    assert one.experiment == "int8"
    assert "rescaling offline" not in found(make_profile())


# --- products ---------------------------------------------------------------------------------------------------


def test_int8_is_priced_with_the_engine_that_has_it() -> None:
    """Linear layers under the roof of int8, all between operators gone, attention as it is."""
    one = found(make_profile())["int8 offline"]

    assert one.predicted_speedup_ratio == pytest.approx(WHOLE_SEC / (WHOLE_SEC - 0.34 - 0.086 - 0.026 + 0.34 / 4.5))
    assert one.experiment == "int8"


def test_int8_in_an_engine_that_fuses_already_gains_by_products_alone() -> None:
    """And no experiment of ours begins there."""
    one = found(make_profile(), spec=make_spec(engine="openvino"))["int8 offline"]

    assert one.part_speedup_ratio == pytest.approx(4.5)
    assert one.share_ratio == pytest.approx(0.34 / WHOLE_SEC)
    assert one.experiment == ""


def test_bf16_is_priced_by_its_ceiling_and_half_the_bytes() -> None:
    """3.5 times as fast in products, twice in what lies between."""
    one = found(make_profile())["bf16 offline"]

    assert one.predicted_speedup_ratio == pytest.approx(WHOLE_SEC / (WHOLE_SEC - 0.4 - 0.086 + 0.4 / 3.5 + 0.086 / 2))
    assert one.experiment == "bf16"


def test_the_processors_ceilings_say_nothing_about_a_gpu() -> None:
    """No format, no roof and no warning about instructions is told for an artifact that is served on one."""
    profile, ceilings = make_profile(), make_ceilings()
    roofline = make_roofline(profile, ceilings, points=(point(1.0, 0.1),))
    for flags in (VNNI, ()):
        names = found(
            profile,
            rooflines=(roofline,),
            spec=make_spec(runtime=Runtime(device="cuda")),
            card=make_card(flags),
            thread_count=8,
        )

        assert list(names) == ["unfused offline"]


@pytest.mark.parametrize("rate", [None, 200e9, 150e9])
def test_a_format_that_is_not_faster_is_not_proposed(rate: float | None) -> None:
    """No such product, or one as slow as fp32's: emulated."""
    assert "bf16 offline" not in found(make_profile(), ceilings=make_ceilings(bf16_flop_per_sec=rate))


def test_a_product_that_waits_for_memory_gains_by_bytes_only() -> None:
    """One point, all of it waiting for memory: int8 has a quarter of the bytes, though its peak is 4.5 times."""
    profile, ceilings = make_profile(), make_ceilings()
    waiting = point(1.0, 0.9, flop_count=1000, moved_bytes=int(0.9 * ceilings.copy_bytes_per_sec))
    roofline = make_roofline(profile, ceilings, points=(waiting,))
    one = found(profile, rooflines=(roofline,), spec=make_spec(engine="openvino"))["int8 offline"]

    assert one.part_speedup_ratio == pytest.approx(4.0)


@pytest.mark.parametrize(("bytes_factor", "is_found"), [(0.99, False), (1.01, True)])
def test_only_products_left_of_the_ridge_wait_for_their_weights(bytes_factor: float, *, is_found: bool) -> None:
    """At the ridge bytes and operations take equally long; the weights here are all that is moved."""
    single, ceilings = single_profile(), make_ceilings()
    flop_count = 10**9
    moved = int(bytes_factor * flop_count / ceilings.fp32_flop_per_sec * ceilings.copy_bytes_per_sec)
    one = point(0.012, 0.003, flop_count=flop_count, moved_bytes=moved, shapes="[[1], [1, 1000], [1000, 10000]]")
    names = found(single, rooflines=(make_roofline(single, ceilings, points=(one,)),))

    assert ("memory-bound-weights single" in names) is is_found


def test_smaller_weights_save_the_time_to_fetch_them() -> None:
    """Three calls fetch 24 MB each at 24 GB/s, 3 ms in all; three quarters of it go, of 12 ms."""
    single, ceilings = single_profile(), make_ceilings()
    one = point(0.012, 0.003, flop_count=1, moved_bytes=72 * 10**6, shapes="[[1], [1, 600], [600, 10000]]")
    made = found(single, rooflines=(make_roofline(single, ceilings, points=(one,)),))["memory-bound-weights single"]

    assert made.part_speedup_ratio == pytest.approx(12 / (12 - 2.25))
    assert made.share_ratio == pytest.approx(0.012 / single.wall_sec)
    assert made.experiment == "int8-weights"
    cached = dataclasses.replace(one, self_sec=0.002)
    in_cache = found(single, rooflines=(make_roofline(single, ceilings, points=(cached,)),))
    assert in_cache["memory-bound-weights single"].part_speedup_ratio == pytest.approx(4.0)


@pytest.mark.parametrize(("reach", "is_found"), [(0.59, True), (0.6, False), (0.9, False)])
def test_products_far_from_the_roof_ask_for_better_kernels(reach: float, *, is_found: bool) -> None:
    """Below three fifths of what the processor can do there is something to gain."""
    profile, ceilings = make_profile(), make_ceilings()
    names = found(profile, rooflines=(make_roofline(profile, ceilings, points=(point(1.0, reach),)),))

    assert ("far-from-roof offline" in names) is is_found
    if is_found:
        assert names["far-from-roof offline"].part_speedup_ratio == pytest.approx(0.8 / reach)


def shape(operator: str, precision: str, self_sec: float) -> ShapeTime:
    """Make a product of as many operations as any other."""
    return ShapeTime(operator, "matrix", "[]", precision, STEP_COUNT, self_sec, 1000, 10)


def test_operators_that_fell_back_are_named_with_the_coverage() -> None:
    """One of four products of a bf16 artifact ran in fp32."""
    shapes = (*(shape("aten::addmm", "bf16", 0.1) for _ in range(3)), shape("aten::bmm", "fp32", 0.3))
    profile, spec = make_profile(shapes=shapes, precision="bf16"), make_spec(precision="bf16")
    one = found(profile, spec=spec)["fallback offline"]

    assert one.share_ratio == pytest.approx(0.3 / profile.wall_sec)
    assert one.part_speedup_ratio == pytest.approx(3.5)
    assert "bmm fell back" in one.evidence
    assert "75.0 %" in one.evidence
    assert "fallback offline" not in found(profile)
    assert "fallback offline" not in found(make_profile(shapes=shapes[:3]), spec=spec)


def test_int8_without_its_instructions_is_a_warning_and_no_hope() -> None:
    """The same machine without VNNI and AMX: no gain is predicted, and int8 is not proposed."""
    names = found(make_profile(), card=make_card(("avx2", "avx512f", "amx_bf16")))
    one = names["int8-without-instructions offline"]

    assert one.predicted_speedup_ratio == 1.0
    assert one.experiment == "int8-onnx-dynamic"
    assert list(names.values())[-1] == one
    assert "int8 offline" not in names
    assert "int8-without-instructions offline" not in found(make_profile())


@pytest.mark.parametrize("flag", ["avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"])
def test_one_int8_instruction_is_enough(flag: str) -> None:
    """Any of them multiplies int8 as it is."""
    names = found(make_profile(), card=make_card(("avx2", flag)))

    assert "int8 offline" in names
    assert "int8-without-instructions offline" not in names


# --- waiting ----------------------------------------------------------------------------------------------------


def test_encoding_is_priced_in_its_own_scenario() -> None:
    """A fifth of the end-to-end time of one scenario says nothing about the other."""
    names = found(make_profile(), single_profile(), encode_share_ratio={"single": 0.2})

    assert names["encoding single"].predicted_speedup_ratio == pytest.approx(1.25)
    assert "encoding offline" not in names


@pytest.mark.parametrize(("calls", "share"), [(None, 5 / 25), (100, 5 / 7)])
def test_a_cold_start_is_worth_so_many_calls(calls: int | None, share: float) -> None:
    """5 s against calls of 20 ms: 250 of them, in a life of a thousand calls unless another number is known."""
    one = found(make_profile(), single_profile(), load_sec=5.0, p50_sec=0.02, calls_per_process=calls)[
        "cold-start single"
    ]

    assert "250 calls" in one.claim
    assert one.share_ratio == pytest.approx(share)
    assert "cold-start single" not in found(single_profile(), load_sec=5.0)
