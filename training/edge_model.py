"""B-NET or E-NET on dense crops as one trainable Keras model, and its losses."""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from defocus_edge.blur_levels import BLUR_LEVELS
from defocus_edge.networks.dense import DenseFeatures, PointHead, gather_head_input
from defocus_edge.networks.edge_networks import EdgeNetworks

Head = Literal["blur", "edge"]
_SMALLEST_PROBABILITY = 1e-7


class PointModel(keras.Model):
    """One head over the dense feature maps of a batch of crops.

    Parameters
    ----------
    networks : EdgeNetworks
        Their layer objects are trained. With ``head="edge"`` the f1 layers are frozen: they are B-NET's.
    head : {'blur', 'edge'}
    precision : {'float32', 'mixed_bfloat16'}
        Of the convolutions over the crops; weights and heads stay float32.
    """

    def __init__(self, networks: EdgeNetworks, head: Head, *, precision: str = "float32") -> None:
        super().__init__(name=f"{head}_points")
        self.features = DenseFeatures(networks, (head,), dtype=precision)
        self.head = PointHead(networks, head)
        for name in ("b1", "b2", "b3"):
            for layer in self.features.branches[name]:
                layer.trainable = head == "blur"

    def call(self, inputs: dict[str, Any]) -> Any:
        """``images`` (B, 104, 104, 3) and ``points`` (P, 3) to (P, classes) softmax."""
        coarse, fine = self.features(inputs["images"])
        grid = gather_head_input(coarse, fine, inputs["points"])
        return self.head(ops.cast(grid, "float32"))


def blur_level_loss(shares: Any, probabilities: Any) -> Any:
    """Cross entropy against the shares of the levels, plus the absolute error in px of the expected radius.

    Parameters
    ----------
    shares, probabilities : (P, 23) tensor

    Returns
    -------
    (P,) tensor
    """
    levels = ops.convert_to_tensor(BLUR_LEVELS)
    entropy = -ops.sum(shares * ops.log(ops.maximum(probabilities, _SMALLEST_PROBABILITY)), axis=-1)
    error = ops.abs(ops.sum((probabilities - shares) * levels, axis=-1))
    return entropy + error


class KernelMuon(keras.optimizers.Muon):
    """Muon on the inner convolution kernels, Adam on everything else.

    Keras applies Muon to matrices only; a kernel (h, w, in, out) is the matrix (h · w · in, out) of its convolution.
    First convolutions (3 channels in), dense layers and biases use Adam.

    References
    ----------
    K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; J. Liu et al., "Muon is
    scalable for LLM training", arXiv:2502.16982.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) != 4 or variable.shape[2] <= 3

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
        matrix = ops.reshape(ops.add(gradient, self.momentum * m), (-1, variable.shape[-1]))
        update = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(update, variable.shape))


def compile_point_model(model: PointModel, head: Head, *, learning_rate: Any) -> None:
    """Give a model its optimizer and loss."""
    optimizer = KernelMuon(learning_rate=learning_rate, weight_decay=0.0, adam_weight_decay=0.0)
    loss = blur_level_loss if head == "blur" else keras.losses.SparseCategoricalCrossentropy()
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False)
