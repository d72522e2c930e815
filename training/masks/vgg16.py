"""VGG16's weights of ImageNet, where they can be had."""

from __future__ import annotations

import keras

from defocus_edge.networks.segmentation.blocks import INPUT_GAIN, VGG16_NAMES, SegmentationConfig


def fill_from_imagenet(network: keras.Model, config: SegmentationConfig) -> str | None:
    """Fill the VGG16 part of a network with weights that `keras.applications` has or can download.

    Parameters
    ----------
    network : keras.Model
        One with the layers `VGG16_NAMES`.
    config : SegmentationConfig
        Its architecture; only with width 1 do the weights fit.

    Returns
    -------
    str or None
        Why it was not done; None if it was.

    Notes
    -----
    The weights expect BGR from 0 to 255 without ImageNet's mean, ours RGB from 0 to 1 without it times `INPUT_GAIN`:
    the first kernel is turned round and scaled. With batch normalization there is no bias to fill.
    """
    if config.width != 1:
        return f"they fit a network of width 1 only, this one has {config.width}."
    try:
        trained = keras.applications.VGG16(weights="imagenet", include_top=False)
    except Exception as error:  # noqa: BLE001 - Keras raises a bare Exception when the download fails
        return f"keras.applications cannot provide them ({error})."
    for ours, theirs in VGG16_NAMES.items():
        kernel, bias = trained.get_layer(theirs).get_weights()
        if ours == next(iter(VGG16_NAMES)):
            kernel = kernel[:, :, ::-1] * (255 / INPUT_GAIN)
        layer = network.get_layer(ours)
        layer.set_weights([kernel, bias] if layer.use_bias else [kernel])
    return None
