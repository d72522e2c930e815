"""Weights of VGG16 trained on ImageNet, if `keras.applications` can provide them."""

from __future__ import annotations

import keras

from defocus_edge.networks.segmentation.blocks import INPUT_GAIN, VGG16_NAMES, SegmentationConfig


def fill_from_imagenet(network: keras.Model, config: SegmentationConfig) -> str | None:
    """Fill the layers `VGG16_NAMES` of a network with weights that `keras.applications` has or can download.

    A network that has layers of VGG16 more than once puts something before their names, as in ``group2_vgg_conv3_1``;
    all of them are filled. The weights fit only a network of width 1. Returns why the network was not filled; None if
    it was.

    Notes
    -----
    VGG16 expects BGR from 0 to 255 minus ImageNet's mean; our networks compute RGB from 0 to 1 minus that mean, times
    `INPUT_GAIN`. So the first kernel is reversed along its channels and scaled. Batch normalization leaves no bias to
    fill.
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
        for layer in network.layers:
            if layer.name.endswith(ours):
                layer.set_weights([kernel, bias] if layer.use_bias else [kernel])
    return None
