"""Where the channels of each tensor are, in a graph whose images have them last: tf2onnx mixes both orders."""

from __future__ import annotations

import onnx

__all__ = ["channel_axes"]

# operators that ONNX defines for channels before rows and columns
_CHANNELS_FIRST = (
    *(
        "Conv",
        "ConvInteger",
        "ConvTranspose",
        "QLinearConv",
        "DeformConv",
        "BatchNormalization",
        "InstanceNormalization",
    ),
    *("GroupNormalization", "LRN", "MaxPool", "AveragePool", "LpPool", "GlobalMaxPool", "GlobalAveragePool"),
    *("GlobalLpPool", "MaxUnpool", "DepthToSpace", "SpaceToDepth"),
)


def channel_axes(model: onnx.ModelProto, image: str, axis: int) -> dict[str, int]:
    """Return the axis of the channels, of four axes with the batch, for each tensor that depends on the images.

    Parameters
    ----------
    model : onnx.ModelProto
        Its nodes are in an order in which they can run.
    image : str
        Its input.
    axis : int
        Of the channels in the input, from 0.
    """
    axes = {image: axis}
    for node in model.graph.node:
        source = next((axes[tensor] for tensor in node.input if tensor in axes), None)
        if source is None:
            continue
        if node.op_type in _CHANNELS_FIRST:
            source = 1
        elif node.op_type == "Transpose":
            order = next((list(each.ints) for each in node.attribute if each.name == "perm"), [3, 2, 1, 0])
            source = order.index(source) if len(order) == 4 else source
        axes.update(dict.fromkeys(filter(None, node.output), source))
    return axes
