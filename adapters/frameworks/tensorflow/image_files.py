"""Reading image files inside a graph of TensorFlow 1, which is then fed with paths."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["load_resize_image"]


def load_resize_image(image_path: Any, image_size: int) -> Any:
    """Add reading and resizing an image file to the current graph.

    Parameters
    ----------
    image_path : scalar tf.Tensor, string
        Where the file is; PNG, JPEG, BMP or GIF.
    image_size : int
        Height and width in pixels, to which the whole image is resized.

    Returns
    -------
    tf.Tensor of shape (image_size, image_size, 3), float32, 0-255
        Bilinear without antialiasing, as TensorFlow 1 resized: networks of that time were trained on such images.
    """
    image = tf.image.decode_png(tf.io.read_file(image_path), channels=3)  # despite its name any of these formats
    return tf.compat.v1.image.resize_images(image, (image_size, image_size))
