"""B-NET or E-NET on dense crops or on patches as one trainable Keras model, and its losses."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from defocus_edge.blur_levels import BLUR_LEVELS
from defocus_edge.networks.edge.features import DenseFeatures, PointHead, gather_head_input
from defocus_edge.networks.edge.networks import BRANCH_NAMES, EdgeNetworks
from training.edges.settings import Head, TrainingSettings
from training.runs.optimizers import KernelMuon, make_rate

# Smaller probabilities count as this in the loss, so that its logarithm stays finite; as Keras does.
_SMALLEST_PROBABILITY = 1e-7


class PointModel(keras.Model):
    """One head over the dense feature maps of a batch of crops.

    Parameters
    ----------
    networks : EdgeNetworks
        Their layer objects are trained. With ``head="edge"`` the f1 layers are frozen: they are B-NET's.
    precision : {'float32', 'mixed_bfloat16'}
        Precision of the convolutions over the crops; weights and heads stay float32.
    """

    def __init__(self, networks: EdgeNetworks, head: Head, *, precision: str = "float32") -> None:
        super().__init__(name=f"{head}_points")
        self.features = DenseFeatures(networks, (head,), dtype=precision)
        self.head = PointHead(networks, head)
        for name, layers in self.features.branches.items():
            for layer in layers:
                layer.trainable = head == "blur" or name not in BRANCH_NAMES

    def call(self, inputs: dict[str, Any]) -> Any:
        """``images`` (B, 64, 64, 3) and ``points`` (P, 3) to (P, classes) softmax."""
        coarse, fine = self.features(inputs["images"])
        grid = gather_head_input(coarse, fine, inputs["points"])
        return self.head(ops.cast(grid, "float32"))


class PatchModel(PointModel):
    """The same head on patches, each computed on its own as in the paper.

    Its variables are those of `PointModel` in the same order, so that a checkpoint of one model fits the other.
    """

    def __init__(self, networks: EdgeNetworks, head: Head) -> None:
        super().__init__(networks, head)
        self.features.built = self.head.built = True  # never called: they only hold the layers in their order
        self.network = networks.b_net if head == "blur" else networks.e_net

    def call(self, inputs: dict[str, Any]) -> Any:
        """``patches`` (P, 41, 41, 3) to (P, classes) softmax."""
        return self.network(inputs["patches"])


def build_model(networks: EdgeNetworks, settings: TrainingSettings) -> PointModel:
    """The model that a stage trains."""
    if settings.sampler == "patches":
        return PatchModel(networks, settings.head)
    return PointModel(networks, settings.head, precision=settings.precision)


def blur_level_loss(shares: Any, probabilities: Any) -> Any:
    """Cross entropy with the shares of the levels, plus the absolute error in px of the expected radius.

    Both arguments are (P, 23) tensors; the result is a (P,) tensor.
    """
    levels = ops.convert_to_tensor(BLUR_LEVELS)
    entropy = -ops.sum(shares * ops.log(ops.maximum(probabilities, _SMALLEST_PROBABILITY)), axis=-1)
    error = ops.abs(ops.sum((probabilities - shares) * levels, axis=-1))
    return entropy + error


def compile_model(model: PointModel, settings: TrainingSettings) -> None:
    """Give a model its optimizer and loss."""
    rate = make_rate(settings)
    if settings.optimizer == "adam":
        optimizer = keras.optimizers.Adam(learning_rate=rate)
    else:
        optimizer = KernelMuon(learning_rate=rate, weight_decay=0.0, adam_weight_decay=0.0)
    loss = blur_level_loss if settings.loss == "levels" else keras.losses.SparseCategoricalCrossentropy()
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
