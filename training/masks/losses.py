"""Losses of the networks that detect blur: from masks, against discriminators, and of maps without masks."""

from __future__ import annotations

from typing import Any

from keras import ops

# Number of pixels added to intersection and union, so that two empty masks are equal.
_EMPTY_OVERLAP = 1e-6
# Smallest sum of weights that a mean is divided by.
_LEAST_WEIGHT = 1e-6
# What the distance of a detector from the other group counts, if that from its own group counts 1.
_CROSS_WEIGHT = 0.1
# Least share of a picture that is sharp, and least share that is blurred, in a training without masks.
_LEAST_SHARE = 0.1
# Fewest maps of which two detectors and their mean can be.
_LEAST_MAPS = 3


def score_map_loss(masks: Any, logits: Any, weights: Any = None) -> Any:
    """Binary cross entropy of each supervised score map, summed with weights 1.

    The loss, a scalar tensor, is the sum over the K maps of the mean over pixels and pictures.

    Parameters
    ----------
    masks : (B, H, W, 1) tensor
        1 where a pixel is blurred, 0 where it is sharp; values between are shares.
    logits : (B, H, W, K) tensor
        Output of a network of `defocus_edge.networks.segmentation.registry`.
    weights : (B,) tensor, optional
        Weight of each picture; 0 for a picture without a mask.
    """
    masks = ops.cast(masks, logits.dtype)
    # -m log(sigmoid(x)) - (1 - m) log(1 - sigmoid(x)), without overflow
    entropy = ops.softplus(logits) - logits * masks
    return _average(ops.sum(ops.mean(entropy, axis=(1, 2)), axis=-1), weights)


def iou_loss(masks: Any, probability: Any, weights: Any = None) -> Any:
    """One minus the soft intersection over union of each picture, averaged.

    The loss is 0 for equal binary maps, also if both are empty, and 1 for disjoint maps. An empty mask and a map that
    is not empty give 1 with hardly any gradient, so a cross entropy is needed beside it.

    Parameters
    ----------
    masks : (B, H, W, 1) tensor
        1 where a pixel is blurred, 0 where it is sharp.
    probability : (B, H, W, 1) tensor
        Probability that a pixel is blurred: the sigmoid of a network's last map.
    weights : (B,) tensor, optional
        Weight of each picture; 0 for a picture without a mask.
    """
    masks = ops.cast(masks, probability.dtype)
    overlap = ops.sum(masks * probability, axis=(1, 2, 3))
    union = ops.sum(masks + probability - masks * probability, axis=(1, 2, 3))
    return _average(1 - (overlap + _EMPTY_OVERLAP) / (union + _EMPTY_OVERLAP), weights)


def diversity_loss(logits: Any, weights: Any = None, *, groups: int = 2) -> Any:
    """Negative correlation of the maps before the last, which are groups of detectors: less the more they differ.

    With the probabilities p_k of the detectors, and the means over their own group and over the other one, the loss is

        -Σ_k mean[(p_k - own_k)² + 0.1 (p_k - other_k)²],

    a mean over pixels and pictures. The first term is the paper's self-negative correlation, the second one its
    cross-negative correlation; a single group has the first term alone. The means are constant for the gradient: a
    detector leaves them, not they a detector. The loss is never above 0 and never below -1.1 for each detector, and
    needs a cross entropy beside it.

    Parameters
    ----------
    logits : (B, H, W, K) tensor
        Output of a network, with at least three maps. ValueError if there are fewer.
    weights : (B,) tensor, optional
        Weight of each picture; 0 for a picture without a mask.
    groups : {2, 1}
        Two: half of the maps before the last are a group, the others are the second group. One: all are one group.

    Notes
    -----
    The paper's error of a detector is ½ (p_k - mask)² - λ (p_k - own_k)² - γ (p_k - other_k)². Its authors' code has
    λ = 0.1 and γ = 0.01: a weight of 0.1 for this loss. Their later paper has one group, and λ = 0.1 in its code.

    References
    ----------
    W. Zhao, B. Zheng, Q. Lin, H. Lu, "Enhancing Diversity of Defocus Blur Detectors via Cross-Ensemble Network", CVPR
    2019, doi:10.1109/CVPR.2019.00911; W. Zhao, X. Hou, Y. He, H. Lu, "Defocus Blur Detection via Boosting Diversity of
    Deep Ensemble Networks", IEEE Transactions on Image Processing 30, 2021, doi:10.1109/TIP.2021.3084101.
    """
    if logits.shape[-1] < _LEAST_MAPS:
        msg = f"logits must have at least {_LEAST_MAPS} maps: two detectors and their mean. Got: {logits.shape[-1]}."
        raise ValueError(msg)
    detectors = ops.sigmoid(logits[..., :-1])
    half = detectors.shape[-1] // 2
    parts = [detectors] if groups == 1 else [detectors[..., :half], detectors[..., half:]]
    means = [ops.stop_gradient(ops.mean(part, axis=-1, keepdims=True)) for part in parts]
    spread = 0.0
    for number, part in enumerate(parts):
        distance = (part - means[number]) ** 2
        for other in means[:number] + means[number + 1 :]:
            distance = distance + _CROSS_WEIGHT * (part - other) ** 2
        spread = spread + ops.sum(ops.mean(distance, axis=(1, 2)), axis=-1)
    return -_average(spread, weights)


def generator_loss(map_logits: Any) -> Any:
    """Loss of the generator: how surely the discriminator recognizes its maps.

    The loss is the mean binary cross entropy with the answer "mask". This form keeps its gradient when the
    discriminator wins.

    `map_logits`, (B, h, w, 1), are those of the discriminator for pictures with the generator's maps.
    """
    return ops.mean(ops.softplus(-map_logits))


def discriminator_loss(mask_logits: Any, map_logits: Any) -> Any:
    """Loss of the discriminator: taking maps for masks and masks for maps.

    The loss is the mean of both mean binary cross entropies. It is log 2 if the discriminator cannot tell.

    `mask_logits` and `map_logits`, (B, h, w, 1), are its logits for pictures with their masks and with the generator's
    maps.
    """
    return (ops.mean(ops.softplus(-mask_logits)) + ops.mean(ops.softplus(map_logits))) / 2


def map_shape_loss(probability: Any) -> Any:
    """What a map without a mask must look like: sure in each pixel, neither sharp nor blurred all over.

    With the probability p of blur and its mean m over a picture, the loss is

        mean[min(p, 1 - p)] + max(0, 0.1 - m) + max(0, 0.1 - (1 - m)),

    averaged over the pictures. It is 0.5 where all p are a half, and 0.1 for a map that is all 0 or all 1.

    `probability`, (B, H, W, 1), is the sigmoid of a network's last map.

    Notes
    -----
    SG's code asks for a least sharp share only, with the same 0.1 and weights of 1. Ours asks for a least blurred
    share, too: else a map that is sharp all over would cost nothing here.

    References
    ----------
    W. Zhao, C. Shang, H. Lu, "Self-Generated Defocus Blur Detection via Dual Adversarial Discriminators", CVPR 2021,
    doi:10.1109/CVPR46437.2021.00686.
    """
    unsure = ops.mean(ops.minimum(probability, 1 - probability))
    blurred = ops.mean(probability, axis=(1, 2, 3))
    return unsure + ops.mean(ops.relu(_LEAST_SHARE - blurred) + ops.relu(_LEAST_SHARE - (1 - blurred)))


def feature_distance(first: Any, second: Any) -> Any:
    """One minus the cosine of the angle between features (B, N) of pictures, a (B,) tensor from 0 to 2.

    It is 1 if the features of a picture are all 0.
    """
    return 1 - ops.sum(ops.normalize(first, axis=-1) * ops.normalize(second, axis=-1), axis=-1)


def radius_loss(shares: Any, logits: Any, weights: Any = None) -> Any:
    """Squared error of each supervised map, summed over the maps.

    The loss, a scalar tensor, is the sum over the K maps of the mean over pixels and pictures.

    Parameters
    ----------
    shares : (B, H, W, 1) tensor
        True radius as a share of the largest one, 0 to 1.
    logits : (B, H, W, K) tensor
        Output of a network that answers with a radius.
    weights : (B,) tensor, optional
        Weight of each picture; 0 for a picture whose radii are not known.
    """
    errors = ops.square(ops.sigmoid(logits) - ops.cast(shares, logits.dtype))
    return _average(ops.sum(ops.mean(errors, axis=(1, 2)), axis=-1), weights)


def domain_loss(is_scene: Any, logits: Any, weights: Any = None) -> Any:
    """Cross entropy of a discriminator that tells scenes from photographs, a mean over patches and pictures.

    Parameters
    ----------
    is_scene : (B, 1) tensor
        1 for a scene, 0 for a photograph.
    logits : (B, h, w, 1) tensor
        That a patch is of a scene.
    weights : (B, 1) tensor, optional
        Weight of each picture.
    """
    labels = ops.reshape(ops.cast(is_scene, logits.dtype), (-1, 1, 1, 1))
    entropy = ops.mean(ops.softplus(logits) - logits * labels, axis=(1, 2, 3))
    return _average(entropy, None if weights is None else ops.reshape(weights, (-1,)))


def _average(losses: Any, weights: Any) -> Any:
    """Mean of (B,) losses, weighted if there are weights; 0 if all weights are 0."""
    if weights is None:
        return ops.mean(losses)
    weights = ops.cast(weights, losses.dtype)
    return ops.sum(losses * weights) / ops.maximum(ops.sum(weights), _LEAST_WEIGHT)
