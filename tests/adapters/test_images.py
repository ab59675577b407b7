"""Image files of every kind become upright 8-bit RGB, or an error that says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adapters.errors import StimulusError
from adapters.images import array_to_image, load_image, to_rgb

EXIF_ORIENTATION = 0x0112
# what a viewer does to the stored pixels to show them upright, after the EXIF standard
UPRIGHT = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels, 1),
}


def on_rgb_canvas(path: Path) -> np.ndarray:
    """Do what Brain-Score does with grey, palette and alpha images."""
    with Image.open(path) as image:
        canvas = Image.new("RGB", image.size)
        canvas.paste(image)
    return np.asarray(canvas)


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA", "P", "PA", "1"])
def test_modes_are_pasted_as_brain_score_does(tmp_path, noise, mode):
    image = Image.fromarray(noise(13, 17, 4), "RGBA").convert(mode if mode != "PA" else "P")
    path = tmp_path / ("image.tif" if mode == "PA" else "image.png")
    image.convert(mode).save(path)
    with Image.open(path) as saved:
        assert saved.mode == mode
    loaded = load_image(path)
    assert loaded.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(loaded), on_rgb_canvas(path))
    np.testing.assert_array_equal(np.asarray(to_rgb(Image.open(path))), on_rgb_canvas(path))


@pytest.mark.filterwarnings("ignore:Palette images with Transparency:UserWarning")
@pytest.mark.parametrize("transparency", [3, bytes(range(200))], ids=["index", "table"])
def test_palette_with_transparency_keeps_its_colours(tmp_path, noise, transparency):
    path = tmp_path / "palette.png"
    Image.fromarray(noise(9, 8, 3)).convert("P").save(path, transparency=transparency)
    np.testing.assert_array_equal(np.asarray(load_image(path)), on_rgb_canvas(path))


def test_alpha_is_dropped_not_blended(tmp_path):
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[..., 0] = 200
    Image.fromarray(pixels, "RGBA").save(tmp_path / "clear.png")
    assert (np.asarray(load_image(tmp_path / "clear.png"))[..., 0] == 200).all()


def test_16_bit_grey_is_scaled_not_clipped(tmp_path):
    values = np.array([[0, 128, 129, 257], [32768, 40000, 65407, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    expected = np.repeat(np.round(values / 257.0).astype(np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(np.asarray(load_image(tmp_path / "deep.png")), expected)


def test_16_bit_tiff_of_both_byte_orders(tmp_path):
    values = np.array([[0, 25700, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.tif")
    big = Image.frombytes("I;16B", (3, 1), values.astype(">u2").tobytes())
    for image in (load_image(tmp_path / "deep.tif"), to_rgb(big)):
        np.testing.assert_array_equal(np.asarray(image)[0, :, 0], [0, 100, 255])


def test_cmyk_jpeg_is_converted(tmp_path, noise):
    Image.fromarray(noise(16, 16, 3)).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    with Image.open(tmp_path / "print.jpg") as image:
        assert image.mode == "CMYK"
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(np.asarray(load_image(tmp_path / "print.jpg")), expected)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(tmp_path, orientation):
    coarse = np.random.default_rng(orientation).integers(0, 256, (2, 3, 3), dtype=np.uint8)
    stored = np.kron(coarse, np.ones((16, 16, 1), np.uint8))
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    Image.fromarray(stored).save(tmp_path / "turned.jpg", quality=100, subsampling=0, exif=exif)
    with Image.open(tmp_path / "turned.jpg") as plain:
        expected = UPRIGHT[orientation](np.asarray(plain))
    np.testing.assert_array_equal(np.asarray(load_image(tmp_path / "turned.jpg")), expected)


def test_animated_gif_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert (np.asarray(load_image(tmp_path / "moving.gif")) == [255, 0, 0]).all()


def truncated(path: Path, noise) -> None:
    Image.fromarray(noise(64, 64, 3)).save(path, "PNG")
    path.write_bytes(path.read_bytes()[:1024])


BROKEN = {
    "missing": (lambda path, noise: None, ["there is no such file"]),
    "empty": (lambda path, noise: path.write_bytes(b""), ["empty, 0 bytes"]),
    "text": (lambda path, noise: path.write_text("no image" * 9), ["72 bytes", "no image format"]),
    "truncated": (truncated, ["truncated after 1,024 bytes"]),
    "folder": (lambda path, noise: path.mkdir(), ["it is a folder"]),
    "corrupt": (lambda path, noise: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(80)), []),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_read_is_named_with_the_reason(tmp_path, noise, kind):
    make, fragments = BROKEN[kind]
    path = tmp_path / f"{kind}.png"
    make(path, noise)
    with pytest.raises(StimulusError) as caught:
        load_image(path)
    assert isinstance(caught.value, ValueError)
    for fragment in [str(path), 'on_error="skip"', *fragments]:
        assert fragment in str(caught.value)


def test_corrupt_pixels_are_no_image(tmp_path, noise):
    path = tmp_path / "flipped.png"
    Image.fromarray(noise(64, 64, 3)).save(path)
    data = bytearray(path.read_bytes())
    data[200:260] = bytes(60)
    path.write_bytes(data)
    with pytest.raises(StimulusError, match="could not be read as an image"):
        load_image(path)


def test_decompression_bomb_is_refused_and_named(tmp_path, monkeypatch):
    path = tmp_path / "bomb.png"
    Image.new("1", (40, 40)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(StimulusError, match="too large to decode safely") as caught:
        load_image(path)
    assert str(path) in str(caught.value)
    assert "MAX_IMAGE_PIXELS" in str(caught.value)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_large_but_allowed_images_are_read(tmp_path, monkeypatch):
    Image.new("1", (30, 30)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # Pillow warns above it and refuses above twice as many
    assert load_image(tmp_path / "large.png").size == (30, 30)


def test_float_tiff_has_no_range(tmp_path):
    Image.fromarray(np.ones((3, 3), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(StimulusError, match="floating point") as caught:
        load_image(tmp_path / "float.tif")
    assert str(tmp_path / "float.tif") in str(caught.value)
    assert "8 or 16 bits" in str(caught.value)


def test_32_bit_integers_beyond_16_bits_are_refused(tmp_path):
    Image.fromarray(np.array([[70000]], np.int32)).save(tmp_path / "wide.tif")
    with pytest.raises(StimulusError, match="outside 0-65535"):
        load_image(tmp_path / "wide.tif")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda grey: grey, lambda grey: grey),
        (lambda grey: grey[..., None], lambda grey: grey),
        (lambda grey: grey > 127, lambda grey: np.where(grey > 127, 255, 0)),
        (lambda grey: grey.astype(np.uint16) * 257, lambda grey: grey),
        (lambda grey: grey / 255.0, lambda grey: grey),
        (lambda grey: (grey / 255.0).astype(np.float16), lambda grey: grey),
        (lambda grey: (grey / np.float32(255)).astype(np.float32), lambda grey: grey),
    ],
    ids=["uint8", "channel-axis", "bool", "uint16", "float64", "float16", "float32"],
)
def test_grey_arrays(make, expected):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    result = np.asarray(array_to_image(make(grey)))
    np.testing.assert_array_equal(result, np.repeat(expected(grey)[..., None], 3, axis=2))


def test_colour_arrays_keep_their_pixels_and_lose_alpha(noise):
    pixels = noise(5, 6, 4)
    np.testing.assert_array_equal(np.asarray(array_to_image(pixels)), pixels[..., :3])
    np.testing.assert_array_equal(np.asarray(array_to_image(pixels[:, ::-1, :3])), pixels[:, ::-1, :3])
    np.testing.assert_array_equal(np.asarray(array_to_image(pixels[..., :3] / 255)), pixels[..., :3])


@pytest.mark.parametrize(
    ("array", "fragments"),
    [
        (np.zeros((3, 8, 8), np.uint8), ["(3, 8, 8)", "already_preprocessed"]),
        (np.zeros(8, np.uint8), ["(8,)", "(height, width)"]),
        (np.zeros((4, 4, 3), np.int64), ["int64", "uint8 0-255"]),
        (np.full((4, 4, 3), 200.0), ["200", "0-1", "Divide by 255"]),
        (np.full((4, 4, 3), -0.5), ["-0.5", "0-1"]),
        (np.full((4, 4), np.nan), ["nan", "0-1"]),
        (np.zeros((0, 4, 3)), ["(0, 4, 3)"]),
        (np.zeros((0, 4, 3), np.uint8), ["(0, 4, 3)"]),
    ],
    ids=["channels-first", "vector", "int64", "0-255", "negative", "nan", "no-rows", "no-rows-uint8"],
)
def test_arrays_that_are_no_images_are_refused(array, fragments):
    with pytest.raises(StimulusError) as caught:
        array_to_image(array)
    for fragment in fragments:
        assert fragment in str(caught.value)
