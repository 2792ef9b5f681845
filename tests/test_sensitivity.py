"""Sensitivity: what each block costs in int8, within a budget, resumed where it ended; and which blocks are kept."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from torch import nn

from perflib.artifact import Artifact
from perflib.compression import sensitivity
from perflib.compression.blocks import default_blocks, layers_of
from perflib.compression.keeping import BEST_FOLDER, TRIED_FILE, kept_counts, paired_drop
from perflib.compression.materials import Labelled, Materials
from perflib.compression.quantize import Quantize
from perflib.compression.sensitivity import Predict, Score, measure_sensitivity, sensitive_blocks
from perflib.engines.torch_engine import load_module, save_module
from perflib.errors import StageError
from perflib.plots.sensitivity import plot_sensitivity
from perflib.plots.style import use_house_style
from perflib.records import read_json
from perflib.results.compression import BlockSensitivity, Sensitivity
from perflib.workloads.bert import mean_pooled_classifier
from perflib.workloads.convnet import small_convnet
from tests.test_folding import DIGITS
from tests.tiny_artifact import CONFIG, make_inputs, write_artifact

mpl.use("Agg")

BLOCKS = (
    "embeddings",
    *(f"encoder.layer.{layer}.{part}" for layer in (0, 1) for part in ("attention", "intermediate", "output")),
    "head",
)


def materials(scratch: Path | None = None) -> Materials:
    """Texts with labels 0, 1, 2, 0, 1 …"""
    inputs = make_inputs(30)
    return Materials(inputs, tuning=Labelled(inputs, np.arange(30, dtype=np.int64) % 3), scratch=scratch)


def ticking(step_sec: float = 1.0) -> Callable[[], float]:
    """Each look at the clock takes a second."""
    times = iter(np.arange(0, 10_000, step_sec).tolist())
    return lambda: next(times)


def write_fragile(folder: Path) -> Artifact:
    """A model whose second feed-forward holds one weight so large that int8 leaves nothing of the others in its row."""
    parent = write_artifact(folder)
    module = load_module(parent.folder, parent.spec)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Linear):
                part.weight.mul_(10)
        module.get_submodule("head").weight.mul_(10)  # sure of its answers, so that another answer costs much
        # Its input is one neuron that is never active, so the answers do not depend on the large weight itself.
        module.get_submodule("encoder.layer.1.intermediate.dense").bias[0] = -1e4
        module.get_submodule("encoder.layer.1.output.dense").weight[:, 0] = 1e3
    save_module(module, folder)
    (folder / "artifact.json").unlink()
    return Artifact.seal(
        folder,
        engine="torch",
        precision="fp32",
        builder=parent.spec.builder,
        config=CONFIG,
        labels=parent.spec.labels,
        runtime=parent.spec.runtime,
        lineage=parent.spec.lineage,
    )


# --- blocks -----------------------------------------------------------------------------------------------------


def test_the_blocks_of_a_text_model_are_attention_and_halves_of_the_feed_forward() -> None:
    """In the order of the model, with the embeddings and the head; together they hold every layer once."""
    module = mean_pooled_classifier(CONFIG)

    assert default_blocks(module) == BLOCKS
    held = [name for block in BLOCKS for name in layers_of(module, block)]
    assert sorted(held) == sorted(default_blocks(module, unit="layer"))
    assert len(held) == len(set(held)) == 13 + 3


@pytest.mark.parametrize(
    ("module", "blocks"),
    [
        (small_convnet(DIGITS), ("stages.0", "stages.4", "head")),
        (nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)), ("0", "2")),
        (nn.ModuleDict({"a": nn.ModuleDict({"b": nn.Linear(1, 1)}), "c": nn.LayerNorm(1)}), ("a",)),
        (nn.ModuleList([nn.Linear(1, 1), nn.LayerNorm(1)]), ("0",)),
    ],
)
def test_the_blocks_of_other_models_follow_the_module_tree(module: nn.Module, blocks: tuple[str, ...]) -> None:
    """Lists are taken apart; what holds no weights that can be quantized is no block."""
    assert default_blocks(module) == blocks


def test_a_model_without_layers_and_an_unknown_block_are_refused() -> None:
    """A name that is only the beginning of another one is unknown too."""
    with pytest.raises(StageError, match="nothing to quantize"):
        default_blocks(nn.Sequential(nn.ReLU()))
    with pytest.raises(StageError, match="block `hea` holds no linear"):
        layers_of(mean_pooled_classifier(CONFIG), "hea")


# --- measuring --------------------------------------------------------------------------------------------------


def test_the_fragile_block_is_found(tmp_path: Path) -> None:
    """Each block is scored once, and the one that int8 destroys is the worst by the answers that change."""
    parent = write_fragile(tmp_path)
    # The parent's own answers are the labels, so that what is lost is exactly what changes.
    inputs = make_inputs(30)
    own = Labelled(inputs, parent.predict(inputs).argmax(axis=1))
    found = measure_sensitivity(parent, dataclasses.replace(materials(), tuning=own), budget_sec=60)

    assert tuple(one.name for one in found.scores) == BLOCKS
    assert found.is_complete
    assert found.ranked()[0].name == "encoder.layer.1.output"
    assert found.ranked()[0].loss_increase_nat > 10 * abs(found.ranked()[1].loss_increase_nat)
    assert Sensitivity.from_dict(found.to_dict()) == found


def test_the_scores_are_those_of_a_model_with_rounded_weights(tmp_path: Path) -> None:
    """An own rounding of the embeddings, with NumPy, gives the loss and the flips of that block."""
    parent, given = write_fragile(tmp_path / "parent"), materials()
    module = load_module(parent.folder, parent.spec)
    with torch.no_grad():
        for name in layers_of(module, "embeddings"):
            weight = module.get_submodule(name).weight
            scale = np.abs(weight.numpy()).max(axis=1, keepdims=True) / 127
            weight.copy_(torch.from_numpy(np.round(weight.numpy() / np.where(scale == 0, 1, scale)) * scale))
    save_module(module, tmp_path / "rounded")
    rounded = Artifact(tmp_path / "rounded", parent.spec)
    labels = given.labelled("tuning", stage="x").labels

    def loss_nat(artifact: Artifact) -> float:
        return float(-np.log(artifact.predict(make_inputs(30))[np.arange(30), labels]).mean())

    (one,) = measure_sensitivity(parent, given, blocks=["embeddings"], budget_sec=60).scores
    assert one.loss_increase_nat == pytest.approx(loss_nat(rounded) - loss_nat(parent), abs=1e-5)
    flips = rounded.predict(make_inputs(30)).argmax(1) != parent.predict(make_inputs(30)).argmax(1)
    assert one.flips_ratio == pytest.approx(flips.mean())


def test_a_score_of_ones_own_is_used(tmp_path: Path) -> None:
    """It gets whoever answers: first the parent, then each block."""
    asked: list[int] = []

    def score(predict: Predict) -> Score:
        asked.append(len(predict(make_inputs(4))))
        return Score(float(len(asked)), 0.5)

    found = measure_sensitivity(write_artifact(tmp_path), materials(), score=score, budget_sec=60, unit="layer")
    assert len(found.scores) == 16
    assert asked == [4] * 17
    assert [one.loss_increase_nat for one in found.scores] == [float(rise) for rise in range(1, 17)]
    assert found.baseline_loss_nat == 1.0


def test_a_spent_budget_leaves_the_rest_unmeasured_and_a_second_run_goes_on(tmp_path: Path) -> None:
    """At least one block is measured; those of an earlier run cost nothing; in the end all is as in one run."""
    parent = write_artifact(tmp_path / "parent")
    scratch = tmp_path / "scratch"
    first = measure_sensitivity(parent, materials(), budget_sec=0, scratch=scratch, clock=ticking())
    second = measure_sensitivity(parent, materials(), budget_sec=0, scratch=scratch, clock=ticking())
    # Before the third block, the clock has been read at the start, and three times for each block after the first.
    fourth = measure_sensitivity(parent, materials(), budget_sec=3, clock=ticking())
    rest = measure_sensitivity(parent, materials(), budget_sec=1e6, scratch=scratch)
    whole = measure_sensitivity(parent, materials(), budget_sec=1e6)

    assert (len(first.scores), first.unmeasured, first.is_complete) == (1, BLOCKS[1:], False)
    assert second.scores == first.scores
    assert len(fourth.scores) == 1
    assert rest.scores[0] == first.scores[0]
    assert [(one.name, one.loss_increase_nat) for one in rest.scores] == [
        (one.name, one.loss_increase_nat) for one in whole.scores
    ]


def test_what_was_kept_for_another_model_is_not_read(tmp_path: Path) -> None:
    """The scratch folder is shared; parent, examples and ranges decide."""
    for parent in (write_artifact(tmp_path / "one"), write_fragile(tmp_path / "two")):
        found = measure_sensitivity(parent, materials(), budget_sec=0, scratch=tmp_path / "scratch", blocks=["head"])

    alone = measure_sensitivity(parent, materials(), budget_sec=0, blocks=["head"])
    assert found.scores[0].loss_increase_nat == alone.scores[0].loss_increase_nat


def test_only_torch_fp32_is_measured(tmp_path: Path) -> None:
    """A converted parent has no blocks left; a missing split is named."""
    parent = write_artifact(tmp_path)
    converted = Artifact(parent.folder, dataclasses.replace(parent.spec, engine="openvino"))

    with pytest.raises(StageError, match="takes a torch fp32 artifact"):
        measure_sensitivity(converted, materials(), budget_sec=1)
    with pytest.raises(StageError, match="needs the tuning split"):
        measure_sensitivity(parent, Materials(make_inputs(4)), budget_sec=1)


# --- keeping ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block_count", "counts"),
    [
        (0, [0]),
        (1, [0]),
        (2, [0, 1]),
        (5, [0, 1, 2, 3, 4]),
        (6, [0, 1, 2, 3, 4]),
        (7, [0, 1, 2, 3, 4, 6]),
        (33, [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32]),
    ],
)
def test_the_steps_grow_and_never_keep_all(block_count: int, counts: list[int]) -> None:
    """One by one up to four, then by half and a third."""
    assert list(kept_counts(block_count)) == counts


@pytest.mark.parametrize(
    ("lost", "won", "count", "drop"),
    [(0, 0, 100, 0.0), (10, 4, 500, 0.012), (4, 10, 500, -0.012), (100, 0, 100, 1.0), (0, 100, 100, -1.0)],
)
def test_the_paired_drop_has_an_upper_bound(lost: int, won: int, count: int, drop: float) -> None:
    """By Bonett and Price: one example is added to each kind of disagreement."""
    was_right, is_right = np.ones(count, bool), np.ones(count, bool)
    is_right[:lost] = False
    was_right[lost : lost + won] = False
    found = paired_drop(was_right, is_right)

    shares = (lost + 1) / (count + 2), (won + 1) / (count + 2)
    by_hand = shares[0] - shares[1] + 1.644854 * ((sum(shares) - (shares[0] - shares[1]) ** 2) / (count + 2)) ** 0.5
    assert found == (pytest.approx(drop), pytest.approx(min(by_hand, 1.0), abs=1e-6))


class Quantizer:
    """Builds a copy of the parent that answers wrongly until enough blocks are kept."""

    def __init__(self, parent: Artifact, lost_counts: list[int]) -> None:
        self.parent, self.lost_counts = parent, lost_counts
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, kept: tuple[str, ...], place: Path) -> Artifact:
        """Build the next candidate, in a place that is empty."""
        assert not place.exists()
        self.asked.append(kept)
        made = self.parent.copy_to(place)
        lost_count = self.lost_counts[min(len(self.asked), len(self.lost_counts)) - 1]

        def predict(inputs: Any) -> Any:
            answers = self.parent.predict(inputs)
            answers[:lost_count] = 1 - answers[:lost_count]  # the most probable class becomes the least
            return answers

        made.predict = predict  # type: ignore[method-assign]
        return made


def own_answers(tmp_path: Path, scratch: Path | None = None) -> tuple[Artifact, Materials]:
    """A parent that is right everywhere, so that what is made wrong is what is lost."""
    parent = write_artifact(tmp_path / "parent")
    inputs = make_inputs(30)
    return parent, Materials(inputs, tuning=Labelled(inputs, parent.predict(inputs).argmax(axis=1)), scratch=scratch)


def test_blocks_are_kept_until_the_drop_holds(tmp_path: Path) -> None:
    """The worst first; exactly the limit holds; the winner alone is in the folder, and nothing else beside it."""
    parent, given = own_answers(tmp_path)
    quantize = Quantizer(parent, [9, 6, 3])
    options = Quantize(keep="sensitive", max_drop_ratio=0.1, budget_sec=600)
    made, proof = sensitive_blocks(options, parent, given, quantize=quantize, folder=tmp_path / "made")
    ranked = [one.name for one in Sensitivity.from_dict(proof["sensitivity"]).ranked()]

    assert quantize.asked == [(), (ranked[0],), (ranked[0], ranked[1])]
    assert [row["drop_ratio"] for row in proof["tried"]] == [pytest.approx(lost / 30) for lost in (9, 6, 3)]
    assert all(row["drop_upper_ratio"] > row["drop_ratio"] for row in proof["tried"])
    assert proof["kept_block_count"] == 2
    assert made.folder == tmp_path / "made"
    assert Artifact.load(made.folder).digest == parent.digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "parent"]


def test_if_none_holds_the_best_is_kept_in_scratch(tmp_path: Path) -> None:
    """The sentence says the smallest drop and how many blocks it kept; the folder stays empty."""
    scratch = tmp_path / "scratch"
    parent, given = own_answers(tmp_path, scratch)
    quantize = Quantizer(parent, [9, 6, 7])
    options = Quantize(keep="sensitive", max_drop_ratio=0.0, budget_sec=600)
    with pytest.raises(StageError, match=r"smallest loss is 20\.00 points .* with 1 of 8 blocks kept .* lies in"):
        sensitive_blocks(options, parent, given, quantize=quantize, folder=tmp_path / "made")

    assert len(quantize.asked) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parent", "scratch"]
    assert Artifact.load(scratch / BEST_FOLDER).digest == parent.digest
    assert [len(row["kept"]) for row in read_json(scratch / TRIED_FILE)["tried"]] == [0, 1, 2, 3, 4, 6]


def test_candidates_that_were_refused_are_not_built_again(tmp_path: Path) -> None:
    """After an interruption, the search goes on with the next number of blocks."""
    parent, given = own_answers(tmp_path, tmp_path / "scratch")
    options = Quantize(keep="sensitive", max_drop_ratio=0.1, budget_sec=600)

    class Interrupted(Quantizer):
        def __call__(self, kept: tuple[str, ...], place: Path) -> Artifact:
            """Be stopped by the user at the third candidate."""
            if len(kept) == 2:
                raise KeyboardInterrupt
            return super().__call__(kept, place)

    with pytest.raises(KeyboardInterrupt):
        sensitive_blocks(options, parent, given, quantize=Interrupted(parent, [9, 6]), folder=tmp_path / "made")
    again = Quantizer(parent, [0])
    _, proof = sensitive_blocks(options, parent, given, quantize=again, folder=tmp_path / "made")

    assert [len(kept) for kept in again.asked] == [2]
    assert [len(row["kept"]) for row in proof["tried"]] == [0, 1, 2]


def test_the_budget_ends_the_search_after_one_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One candidate is always tried; half of the budget is the ranking's."""
    parent, given = own_answers(tmp_path)
    budgets: list[float] = []

    def measured(*args: Any, budget_sec: float, **rest: Any) -> Sensitivity:
        budgets.append(budget_sec)
        return record()

    monkeypatch.setattr(sensitivity, "measure_sensitivity", measured)
    quantize = Quantizer(parent, [9])
    options = Quantize(keep="sensitive", max_drop_ratio=0.0, budget_sec=1.0)
    with pytest.raises(StageError, match=r"with 0 of 4 blocks kept in floating point; raise max_drop_ratio"):
        sensitive_blocks(options, parent, given, quantize=quantize, folder=tmp_path / "made", clock=ticking())

    assert (quantize.asked, budgets) == ([()], [0.5])


# --- the figure -------------------------------------------------------------------------------------------------


def record(**changes: Any) -> Sensitivity:
    """Three blocks measured, one left out."""
    rises = {"embeddings": -0.001, "encoder.layer.0.attention": 0.03, "encoder.layer.0.output": 0.01}
    scores = tuple(BlockSensitivity(name, rise, abs(rise), 512, 1.0) for name, rise in rises.items())
    given: dict[str, Any] = {
        "name": "baseline",
        "parent_sha256": "0" * 64,
        "unit": "block",
        "example_count": 512,
        "baseline_loss_nat": 0.4,
        "scores": scores,
        "unmeasured": ("head",),
        "budget_sec": 60.0,
        "spent_sec": 3.0,
    }
    return Sensitivity(**given | changes)


def test_the_figure_has_the_worst_on_top_and_says_what_is_missing() -> None:
    """Every block has a row, the unmeasured ones last and grey; the title is the finding."""
    use_house_style()
    fig, ax = plot_sensitivity(record())
    names = [label.get_text() for label in ax.get_yticklabels()]
    words = [text.get_text() for text in ax.texts]

    assert names == ["encoder.layer.0.attention", "encoder.layer.0.output", "embeddings", "head"]
    assert words[0] == "+30.00 (3.0 % of answers change)"
    assert words[-1] == "not measured"
    assert [round(bar.get_width(), 3) for bar in ax.patches] == [30, 10, -1]
    assert ax.yaxis_inverted()
    assert "encoder.layer.0.attention suffers most from int8: 75 %" in " ".join(ax.get_title(loc="left").split())
    assert "1 not measured" in " ".join(ax.get_title(loc="left").split())
    assert "Not measured: head." in fig.get_label()
    fig.draw_without_rendering()
    plt.close(fig)


def test_the_figure_of_a_model_that_bears_int8_says_so() -> None:
    """No block is blamed where none raises the loss."""
    harmless = (BlockSensitivity("head", 0.0, 0.0, 512, 1.0), BlockSensitivity("embeddings", -0.1, 0.0, 512, 1.0))
    use_house_style()
    fig, ax = plot_sensitivity(record(scores=harmless, unmeasured=()))

    assert " ".join(ax.get_title(loc="left").split()) == "No block alone raises the loss in int8 (2 measured)"
    assert "Not measured" not in fig.get_label()
    plt.close(fig)
