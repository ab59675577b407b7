"""Records written by hand, so that a board is tested without a score being computed."""

from __future__ import annotations

from typing import Any

import numpy as np

HOSTILE = "<img src=x onerror=alert(1)>\"'&{{7*7}}</script>\u202e"

PROVENANCE = {"created": "2026-11-21T12:00:00+00:00", "seed": 0, "seconds": 1.5, "versions": {"numpy": "2.4.6"}}


def record(model: str = "alexnet", benchmark: str = "Toy.IT-pls", value: float | None = 0.4, **parts: Any) -> dict:
    """Return a record of the schema; ``parts`` replace parts of it, ``half=`` gives intervals of that half width."""
    half = parts.pop("half", None)
    region = benchmark.partition(".")[2].partition("-")[0]
    made = {
        "schema": 1,
        "model": model,
        "benchmark": benchmark,
        "region": region or "other",
        "metric": benchmark.rpartition("-")[2],
        "formula": "r2/c",
        "parity": None,
        "value": value,
        "error": 0.01,
        "error_kind": "split spread",
        "ceiling": 0.9,
        "raw": None if value is None else float(np.sqrt(0.9 * max(value, 0))),
        "intervals": {},
        "layer": "conv",
        "ties": ["conv"],
        "layers": [layer("conv", 0.6), layer("fc", 0.5)],
        "neuroids": {"neuroid_id": ["n1", "n2"], "raw": [0.5, 0.7], "ceiling": [0.8, 0.9]},
        "flags": [],
        "splits": "0123456789abcdef" * 4,
        "n_stimuli": 128,
        "n_neuroids": 2,
        "n_features": 1000,
        "provenance": PROVENANCE,
    }
    if half is not None:
        made["intervals"] = {kind: interval(value, half) for kind in ("unit bootstrap", "stimulus bootstrap")}
    return made | parts


def interval(value: float, half: float) -> dict:
    return {"low": value - half, "high": value + half, "level": 0.95, "n": 1000}


def layer(name: str, raw: float | None, **parts: Any) -> dict:
    value = None if raw is None else raw**2 / 0.9
    return {"layer": name, "raw": raw, "error": 0.02, "value": value, "n_features": 1000, "flags": [], **parts}


def study(n_models: int = 6, n_layers: int = 12, n_neuroids: int = 80, seed: int = 1) -> list[dict]:
    """Return what a study of several models on six benchmarks leaves, with missing and flagged scores."""
    rng = np.random.default_rng(seed)
    names = ["resnet50_v1", "alexnet_v1", "vgg16_imagenet", "cornet_s", "vit_b16_dino", "pixels", HOSTILE]
    benchmarks = {"V1": "FreemanZiemba2013.V1-pls", "V2": "FreemanZiemba2013.V2-pls", "V4": "MajajHong2015.V4-pls"}
    benchmarks |= {"IT": "MajajHong2015.IT-pls", "behavior": "Rajalingham2018.behavior-i2n"}
    made = []
    for model in [*names, *(f"model_{i}" for i in range(n_models))][:n_models]:
        for depth, (region, benchmark) in enumerate(benchmarks.items()):
            if model == "pixels" and region == "behavior":
                continue
            made.append(_studied(model, region, benchmark, depth, n_layers, n_neuroids, rng))
    made.append(_studied(names[0], "IT", "Toy2026.IT-pls", 3, n_layers, n_neuroids, rng))
    return made


def _studied(
    model: str, region: str, benchmark: str, depth: int, n_layers: int, n_neuroids: int, rng: np.random.Generator
) -> dict:
    peak, best = (0.15 + 0.2 * depth) * n_layers, rng.uniform(0.45, 0.72)
    raw = best * np.exp(-(((np.arange(n_layers) - peak) / (0.5 * n_layers)) ** 2)) + rng.normal(0, 0.01, n_layers)
    names = [f"features.{i}" for i in range(n_layers - 2)] + ["avgpool", "classifier.fc"]
    chosen = int(raw.argmax())
    ties = [name for name, each in zip(names, raw, strict=True) if each > raw[chosen] - 0.012]
    ceilings = rng.beta(9, 2, n_neuroids)
    units = np.clip(rng.normal(raw[chosen], 0.14, n_neuroids), -0.2, np.sqrt(ceilings))
    median, ceiling = float(np.median(units)), float(np.median(ceilings))
    value = median**2 / ceiling if region != "behavior" else median / np.sqrt(ceiling)
    parts: dict[str, Any] = {"region": region, "raw": median, "ceiling": ceiling, "half": 0.03}
    parts |= {"layer": names[chosen], "ties": ties, "formula": "r2/c" if region != "behavior" else "s/sqrt(c)"}
    parts["layers"] = [layer(name, float(each), n_features=4096 * 8) for name, each in zip(names, raw, strict=True)]
    if region == "behavior":
        return record(model, benchmark, value, **parts | {"neuroids": {}, "layers": [], "ties": []})
    ids = [f"n{i}" for i in range(n_neuroids)]
    parts["neuroids"] = {"neuroid_id": ids, "raw": units.tolist(), "ceiling": ceilings.tolist()}
    if model == "pixels":
        parts["flags"] = ["components=17"]
    return record(model, benchmark, value, **parts)
