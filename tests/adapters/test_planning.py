"""What a run will cost, by numbers computed by hand; what cannot fit is refused before anything runs."""

from __future__ import annotations

import numpy as np
import pytest

import adapters
from adapters.errors import BudgetError, LayerNotFoundError
from adapters.memory import available_memory, format_bytes

N_CONV, N_FC = 4 * 6 * 6, 6


@pytest.fixture
def extractor(convnet):
    return adapters.wrap(convnet, identifier="toy", preprocessing=adapters.raw(8), batch_size=4)


def test_numbers(extractor, noise):
    plan = extractor.plan(noise(10, 8, 8, 3), ["4", "0"])
    assert [(layer.layer, layer.shape, layer.n_neuroids) for layer in plan.layers] == [
        ("4", (6,), N_FC),
        ("0", (4, 6, 6), N_CONV),
    ]
    assert [layer.n_bytes for layer in plan.layers] == [10 * N_FC * 4, 10 * N_CONV * 4]
    assert plan.n_neuroids == N_CONV + N_FC
    assert plan.total_bytes == 10 * (N_CONV + N_FC) * 4
    assert (plan.n_presentations, plan.n_images, plan.batch_size) == (10, 10, 4)
    assert plan.image_bytes == 3 * 8 * 8 * 4
    assert (plan.n_passes, plan.disk_bytes) == (1, 0)
    assert plan.peak_bytes > plan.total_bytes + 4 * plan.image_bytes
    assert plan.fits


def test_plan_equals_what_a_call_gives(extractor, noise):
    images = noise(3, 8, 8, 3)
    plan, assembly = extractor.plan(images, "*"), extractor(images, "*")
    assert plan.total_bytes == assembly.nbytes
    assert plan.n_neuroids == assembly.sizes["neuroid"]
    assert [layer.layer for layer in plan.layers] == list(dict.fromkeys(assembly["layer"].values))


def test_duplicates_cost_memory_but_no_time(extractor, image_files):
    plan = extractor.plan(image_files(2) * 3, ["4"])
    assert (plan.n_presentations, plan.n_images) == (6, 2)
    assert plan.total_bytes == 6 * N_FC * 4


def test_trials_are_planned(extractor, image_files):
    plan = extractor.plan(image_files(2), ["4"], number_of_trials=5)
    assert (plan.n_presentations, plan.n_images) == (10, 10)
    assert plan.total_bytes == 10 * N_FC * 4


def test_planning_reads_no_stimuli_and_runs_no_model(counting):
    extractor = adapters.wrap(counting, preprocessing=adapters.raw(8))
    extractor.layers  # noqa: B018
    counting.n_images.clear()
    assert extractor.plan(["missing_1.png", "missing_2.png"], ["logits"]).n_presentations == 2
    assert counting.n_images == []


def test_globs_and_typos(extractor, noise):
    assert len(extractor.plan(noise(1, 8, 8, 3), "*").layers) == 5
    with pytest.raises(LayerNotFoundError):
        extractor.plan(noise(1, 8, 8, 3), ["nothing"])


def test_text_explains(extractor, noise):
    text = str(extractor.plan(noise(1000, 8, 8, 3), ["4", "0"]))
    for fragment in ("toy: 2 layers x 1,000 presentations", "batches of 4", "4 x 6 x 6", "144 values", "576.0 kB"):
        assert fragment in text
    for fragment in ("result 600.0 kB", "peak", "free", "disk 0 B", "fits"):
        assert fragment in text


@pytest.mark.parametrize("available", [0, 3000, 20_000])
def test_what_cannot_fit_is_refused_before_running(counting, noise, monkeypatch, available):
    extractor = adapters.wrap(counting, identifier="toy", preprocessing=adapters.raw(8))
    extractor.layers  # noqa: B018
    counting.n_images.clear()
    monkeypatch.setattr("adapters.budgeting.available_memory", lambda: available)
    plan = extractor.plan(noise(1000, 8, 8, 3), ["logits"])
    assert not plan.fits
    assert "DOES NOT FIT" in str(plan)
    with pytest.raises(BudgetError) as caught:
        extractor(noise(1000, 8, 8, 3), ["logits"])
    for fragment in ("1 layers x 1,000 presentations of toy", "logits 768.0 kB", "are free", "fewer layers"):
        assert fragment in str(caught.value)
    assert isinstance(caught.value, MemoryError)
    assert counting.n_images == []


def test_proposed_number_of_stimuli_really_fits(counting, noise, monkeypatch):
    extractor = adapters.wrap(counting, identifier="toy", preprocessing=adapters.raw(8), batch_size=4)
    monkeypatch.setattr("adapters.budgeting.available_memory", lambda: 200_000)
    with pytest.raises(BudgetError) as caught:
        extractor(noise(1000, 8, 8, 3), ["logits"])
    n_fit = int(str(caught.value).partition("About ")[2].partition(" stimuli")[0].replace(",", ""))
    assert 0 < n_fit < 1000
    assert extractor(noise(n_fit, 8, 8, 3), ["logits"]).sizes["presentation"] == n_fit
    assert not extractor.plan(noise(n_fit + 5, 8, 8, 3), ["logits"]).fits


def test_a_reducing_hook_lifts_the_refusal(counting, noise, monkeypatch):
    extractor = adapters.wrap(counting, preprocessing=adapters.raw(8))
    extractor.register_batch_activations_hook(lambda batch: {k: v.reshape(len(v), -1)[:, :2] for k, v in batch.items()})
    monkeypatch.setattr("adapters.budgeting.available_memory", lambda: 3000)
    assert extractor(noise(20, 8, 8, 3), ["logits"]).shape == (20, 2)


def test_unknown_memory_is_not_refused(extractor, noise, monkeypatch):
    monkeypatch.setattr("adapters.budgeting.available_memory", lambda: None)
    plan = extractor.plan(noise(3, 8, 8, 3), ["4"])
    assert plan.fits
    assert "free unknown" in str(plan)
    assert extractor(noise(3, 8, 8, 3), ["4"]).shape == (3, N_FC)


def test_available_memory_is_plausible():
    memory = available_memory()
    assert memory is None or 2**20 < memory < 2**50


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_500_000, "1.5 MB"), (13e9, "13.0 GB"), (2.5e12, "2.5 TB")],
)
def test_bytes_for_people(n_bytes, text):
    assert format_bytes(n_bytes) == text


def test_numbers_of_alexnet_at_full_size_need_no_run():
    """Conv layers of AlexNet at 224 pixels; sizes from Krizhevsky's table, as torchvision has them."""
    from torchvision.models import alexnet

    extractor = adapters.wrap(alexnet(), preprocessing=adapters.imagenet(224))
    plan = extractor.plan([f"{number}.png" for number in range(1000)], ["features.0", "classifier.6"])
    assert plan.total_bytes == 1000 * 4 * (64 * 55 * 55 + 1000)
    assert np.prod(plan.layers[0].shape) == 64 * 55 * 55


def test_a_reduced_layer_is_whole_for_a_moment(extractor, noise):
    stimuli = noise(64, 8, 8, 3)
    whole, reduced = (extractor.plan(stimuli, ["0"], reduce=each) for each in (None, "mean"))
    assert reduced.total_bytes < whole.total_bytes / 10
    n_batch = min(extractor.batch_size, 64)
    assert reduced.peak_bytes >= reduced.total_bytes + 4 * n_batch * whole.layers[0].n_neuroids
