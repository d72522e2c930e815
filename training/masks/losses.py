"""Losses of the networks that detect blur: score maps, overlap with the mask, and the adversarial pair."""

from __future__ import annotations

from typing import Any

from keras import ops

# Pixels added to intersection and union: two empty masks are equal, not undefined.
_EMPTY_OVERLAP = 1e-6


def score_map_loss(masks: Any, logits: Any, weights: Any = None) -> Any:
    """Binary cross entropy of each supervised score map, summed with weights 1.

    Parameters
    ----------
    masks : (B, H, W, 1) tensor
        1 where a pixel is blurred, 0 where it is sharp; values between are shares.
    logits : (B, H, W, K) tensor
        What a network of `defocus_edge.networks.segmentation.registry` returns.
    weights : (B,) tensor, optional
        How much each picture counts; 0 for one without a mask.

    Returns
    -------
    scalar tensor
        Sum over the K maps of the mean over pixels and pictures.
    """
    masks = ops.cast(masks, logits.dtype)
    # -m log(sigmoid(x)) - (1 - m) log(1 - sigmoid(x)), without overflow
    entropy = ops.softplus(logits) - logits * masks
    return _average(ops.sum(ops.mean(entropy, axis=(1, 2)), axis=-1), weights)


def iou_loss(masks: Any, probability: Any, weights: Any = None) -> Any:
    """One minus the soft intersection over union of each picture, averaged.

    Parameters
    ----------
    masks : (B, H, W, 1) tensor
        1 where a pixel is blurred, 0 where it is sharp.
    probability : (B, H, W, 1) tensor
        Of being blurred: the sigmoid of a network's last map.
    weights : (B,) tensor, optional
        How much each picture counts; 0 for one without a mask.

    Returns
    -------
    scalar tensor
        0 for equal binary maps, two empty ones included; 1 for disjoint ones. With an empty mask and a map that is not
        empty it is 1 with hardly any gradient, so it wants a cross entropy beside it.
    """
    masks = ops.cast(masks, probability.dtype)
    overlap = ops.sum(masks * probability, axis=(1, 2, 3))
    union = ops.sum(masks + probability - masks * probability, axis=(1, 2, 3))
    return _average(1 - (overlap + _EMPTY_OVERLAP) / (union + _EMPTY_OVERLAP), weights)


def generator_loss(map_logits: Any) -> Any:
    """What the generator minimizes: how surely the discriminator finds its maps.

    Parameters
    ----------
    map_logits : (B, h, w, 1) tensor
        The discriminator's logits for pictures and the generator's maps.

    Returns
    -------
    scalar tensor
        Mean binary cross entropy against "mask": the form that keeps its gradient when the discriminator wins.
    """
    return ops.mean(ops.softplus(-map_logits))


def discriminator_loss(mask_logits: Any, map_logits: Any) -> Any:
    """What the discriminator minimizes: taking maps for masks and masks for maps.

    Parameters
    ----------
    mask_logits, map_logits : (B, h, w, 1) tensor
        Its logits for pictures with their masks, and with the generator's maps.

    Returns
    -------
    scalar tensor
        Mean of the two mean binary cross entropies; log 2 when it cannot tell.
    """
    return (ops.mean(ops.softplus(-mask_logits)) + ops.mean(ops.softplus(map_logits))) / 2


def _average(losses: Any, weights: Any) -> Any:
    """Mean of (B,) losses, weighted if there are weights; 0 if all of them are."""
    if weights is None:
        return ops.mean(losses)
    weights = ops.cast(weights, losses.dtype)
    return ops.sum(losses * weights) / ops.maximum(ops.sum(weights), 1e-6)
