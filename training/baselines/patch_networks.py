"""The small networks of baselines that learn from patches. Training is in `training.patch_networks`."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from defocus_edge.blur_levels import N_LEVELS
from training.baselines.cnn_metric import PATCH_SIDE, MetricConfig
from training.baselines.dhde_features import FEATURES, PATCH_SIDES, WEAK


@dataclass(frozen=True)
class DhdeConfig:
    """Architecture of DHDE's classifier.

    Parameters
    ----------
    filters : tuple of int
        Of the three convolutions of 3×3 px, and of the one of 1×1.
    units : tuple of int
        Widths of the hidden layers of the classifier.
    """

    filters: tuple[int, int, int, int] = (25, 50, 50, 25)
    units: tuple[int, int] = (300, 150)


def build_dhde_network(config: DhdeConfig | None = None) -> keras.Model:
    """Build DHDE's network: patches (N, 27, 27, 3) and features (N, 120) to logits (N, 23) of the blur levels.

    References
    ----------
    J. Park, Y.-W. Tai, D. Cho and I. S. Kweon, "A unified approach of multi-scale deep and hand-crafted features for
    defocus estimation", CVPR 2017, doi:10.1109/CVPR.2017.295.
    """
    config = config or DhdeConfig()
    side = PATCH_SIDES[WEAK]
    patch = keras.Input((side, side, 3), name="patch")
    features = keras.Input((FEATURES,), name="features")
    tensor = layers.Rescaling(2.0, -1.0, name="scaling")(patch)
    for number, (filters, kernel) in enumerate(zip(config.filters, (3, 3, 3, 1), strict=True), 1):
        tensor = layers.Conv2D(filters, kernel, activation="relu", name=f"conv{number}")(tensor)
        if number <= 2:
            tensor = layers.MaxPooling2D(3, padding="same", name=f"pool{number}")(tensor)
    # Filled by the training. Rare features do not blow up what they tell.
    standard = layers.BatchNormalization(epsilon=1e-4, center=False, scale=False, name="standardize", trainable=False)
    tensor = layers.Concatenate(name="joined")([standard(features), layers.Flatten(name="deep")(tensor)])
    for number, units in enumerate(config.units, 1):
        tensor = layers.Dense(units, activation="relu", name=f"dense{number}")(tensor)
    inputs = {"patch": patch, "features": features}
    return keras.Model(inputs, layers.Dense(N_LEVELS, name="levels")(tensor), name="dhde")


def build_metric_networks(config: MetricConfig | None = None) -> keras.Model:
    """Build the networks of the local metric as one model: patches (N, 21, 21, 1) to logits (N, networks, 2).

    Patches are grey, of mean 0. The second logit of each network is that of a blurred patch.

    References
    ----------
    K. Zeng, Y. Wang, J. Mao, J. Liu, W. Peng and N. Chen, "A local metric for defocus blur detection based on CNN
    feature learning", IEEE Transactions on Image Processing 28(5), 2019, doi:10.1109/TIP.2018.2881830.
    """
    config = config or MetricConfig()
    patch = keras.Input((PATCH_SIDE, PATCH_SIDE, 1), name="patch")
    scaled = layers.Rescaling(4.0, name="scaling")(patch)
    answers = []
    for side in config.sides:
        name = f"side{side}"
        tensor = layers.Conv2D(config.filters, side, activation="relu", name=f"{name}_conv1")(scaled)
        tensor = layers.MaxPooling2D(2, padding="same", name=f"{name}_pool")(tensor)
        tensor = layers.Conv2D(config.filters, 3, activation="relu", name=f"{name}_conv2")(tensor)
        tensor = layers.Dense(2, name=f"{name}_dense")(layers.Flatten(name=f"{name}_flat")(tensor))
        answers.append(layers.Reshape((1, 2), name=f"{name}_answer")(tensor))
    return keras.Model({"patch": patch}, layers.Concatenate(axis=1, name="answers")(answers), name="cnn_metric")
