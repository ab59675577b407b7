"""Draw the mock stimuli: eight objects as simple shapes on cloudy backgrounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

__all__ = ["IMAGE_SIZE", "OBJECTS", "Scene", "draw", "random_scene"]

OBJECTS = ("disc", "square", "triangle", "star", "ring", "cross", "bars", "crescent")
IMAGE_SIZE = 96
_GRID = 4

Point = tuple[float, float]


@dataclass(frozen=True)
class Scene:
    """What one mock stimulus shows.

    Attributes
    ----------
    object_name : str
        One of ``OBJECTS``.
    x, y : float
        Position of the object's centre, -1 (left, top) to 1 (right, bottom).
    size : float
        Radius of the object as a share of the image, 0-1.
    angle : float
        Rotation, radians.
    brightness : float
        Luminance of the object, 0-1.
    background_seed : int
        Seed of the cloudy background.
    """

    object_name: str
    x: float
    y: float
    size: float
    angle: float
    brightness: float
    background_seed: int


def random_scene(object_name: str, rng: np.random.Generator) -> Scene:
    """Place an object at random.

    Parameters
    ----------
    object_name : str
        One of ``OBJECTS``.
    rng : numpy.random.Generator
        Source of the randomness.
    """
    return Scene(
        object_name=object_name,
        x=rng.uniform(-0.5, 0.5),
        y=rng.uniform(-0.5, 0.5),
        size=rng.uniform(0.15, 0.3),
        angle=rng.uniform(0, 2 * math.pi),
        brightness=float(rng.choice([rng.uniform(0.0, 0.2), rng.uniform(0.8, 1.0)])),
        background_seed=int(rng.integers(2**32)),
    )


def draw(scene: Scene) -> tuple[Image.Image, NDArray[np.float64]]:
    """Draw a scene and describe what is in it.

    Parameters
    ----------
    scene : Scene
        What to show.

    Returns
    -------
    image : PIL.Image.Image
        RGB, ``IMAGE_SIZE`` x ``IMAGE_SIZE``.
    content : array of shape (n_content,), float64
        Object identity (one of eight), position, size, brightness and a 4 x 4 luminance grid, each around 0.
    """
    image = _background(np.random.default_rng(scene.background_seed))
    shade = round(255 * scene.brightness)
    # Drawn four times too large and shrunk, because ImageDraw has no antialiasing.
    mask = Image.new("L", (4 * IMAGE_SIZE, 4 * IMAGE_SIZE))
    _DRAWERS[scene.object_name](ImageDraw.Draw(mask), scene)
    image.paste((shade, shade, shade), mask=mask.resize(image.size, Image.Resampling.BOX))
    return image, _content(scene, image)


def _background(rng: np.random.Generator) -> Image.Image:
    clouds = Image.fromarray(rng.integers(60, 196, size=(6, 6, 3), dtype=np.uint8))
    clouds = clouds.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(3))
    grain = rng.normal(0, 8, size=(IMAGE_SIZE, IMAGE_SIZE, 1))
    return Image.fromarray(np.clip(np.asarray(clouds) + grain, 0, 255).astype(np.uint8))


def _content(scene: Scene, image: Image.Image) -> NDArray[np.float64]:
    identity = [float(scene.object_name == name) for name in OBJECTS]
    layout = [2 * scene.x, 2 * scene.y, 10 * (scene.size - 0.225), scene.brightness - 0.5]
    grid = np.asarray(image.convert("L").resize((_GRID, _GRID), Image.Resampling.BOX), dtype=np.float64)
    return np.concatenate([identity, layout, (grid.ravel() - 128) / 32])


def _place(points: Sequence[Point], scene: Scene) -> list[Point]:
    """Rotate, scale and move points of the unit circle onto the large canvas, in pixels."""
    half, cos, sin = 2 * IMAGE_SIZE, math.cos(scene.angle), math.sin(scene.angle)
    radius = 2 * half * scene.size
    return [
        (half * (1 + scene.x) + radius * (cos * x - sin * y), half * (1 + scene.y) + radius * (sin * x + cos * y))
        for x, y in points
    ]


def _circle(radius: float = 1.0, shift: float = 0.0) -> list[Point]:
    angles = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    return [(radius * math.cos(a) + shift, radius * math.sin(a)) for a in angles]


def _disc(canvas: ImageDraw.ImageDraw, scene: Scene) -> None:
    canvas.polygon(_place(_circle(), scene), fill=255)


def _square(canvas: ImageDraw.ImageDraw, scene: Scene) -> None:
    canvas.polygon(_place(_box(0.85, 0.85), scene), fill=255)


def _triangle(canvas: ImageDraw.ImageDraw, scene: Scene) -> None:
    corners = [(math.cos(a), math.sin(a)) for a in (0, 2 * math.pi / 3, 4 * math.pi / 3)]
    canvas.polygon(_place(corners, scene), fill=255)


def _star(canvas: ImageDraw.ImageDraw, scene: Scene) -> None:
    radii = (1.0, 0.4) * 5
    corners = [(r * math.cos(i * math.pi / 5), r * math.sin(i * math.pi / 5)) for i, r in enumerate(radii)]
    canvas.polygon(_place(corners, scene), fill=255)


def _ring(canvas: ImageDraw.ImageDraw, scene: Scene) -> None:
    canvas.polygon(_place(_circle(), scene), fill=255)
    canvas.polygon(_place(_circle(0.6), scene), fill=0)


def _cross(canvas: ImageDraw.ImageDraw, scene: Scene) -> None:
    canvas.polygon(_place(_box(1.0, 0.3), scene), fill=255)
    canvas.polygon(_place(_box(0.3, 1.0), scene), fill=255)


def _bars(canvas: ImageDraw.ImageDraw, scene: Scene) -> None:
    for shift in (-0.75, 0.0, 0.75):
        canvas.polygon(_place([(x, y + shift) for x, y in _box(1.0, 0.2)], scene), fill=255)


def _crescent(canvas: ImageDraw.ImageDraw, scene: Scene) -> None:
    canvas.polygon(_place(_circle(), scene), fill=255)
    canvas.polygon(_place(_circle(0.85, shift=0.45), scene), fill=0)


def _box(half_width: float, half_height: float) -> list[Point]:
    return [
        (-half_width, -half_height),
        (half_width, -half_height),
        (half_width, half_height),
        (-half_width, half_height),
    ]


_DRAWERS = dict(zip(OBJECTS, (_disc, _square, _triangle, _star, _ring, _cross, _bars, _crescent), strict=True))
