"""B-NET or E-NET on dense crops or on patches as one trainable Keras model, and its losses."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from defocus_edge.blur_levels import BLUR_LEVELS
from defocus_edge.networks.edge.architecture import BRANCH_NAMES
from defocus_edge.networks.edge.features import DenseFeatures, PointHead, gather_head_input
from defocus_edge.networks.edge.networks import EdgeNetworks
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
    features : type, optional
        What computes the maps, `DenseFeatures` or a faster class with the same numbers.
    """

    def __init__(
        self,
        networks: EdgeNetworks,
        head: Head,
        *,
        precision: str = "float32",
        features: type[DenseFeatures] | None = None,
    ) -> None:
        super().__init__(name=f"{head}_points")
        self.features = (features or DenseFeatures)(networks, (head,), dtype=precision)
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
    features = None
    if settings.sampler == "device":
        from training.edges.device.features import InterleavedFeatures  # here, since few trainings need it

        features = InterleavedFeatures if InterleavedFeatures.suits(networks.config) else None
    if settings.sampler == "patches":
        model: PointModel = PatchModel(networks, settings.head)
    else:
        model = PointModel(networks, settings.head, precision=settings.precision, features=features)
    if networks.config.head_normalization:
        _centre_first_convs(model)
    return model


def focal_loss(classes: Any, probabilities: Any) -> Any:
    """Cross entropy times the probability of the wrong class: points that are easy to tell hardly count.

    `classes` (P, 1) and `probabilities` (P, 2) are tensors; the result is a (P,) tensor.

    References
    ----------
    T.-Y. Lin et al., "Focal loss for dense object detection", 2017, arXiv:1708.02002. The exponent 1 is ours.
    """
    right = ops.take_along_axis(probabilities, ops.cast(classes, "int32"), axis=-1)[:, 0]
    return -(1 - right) * ops.log(ops.maximum(right, _SMALLEST_PROBABILITY))


def centre_kernel(kernel: Any) -> Any:
    """Take the mean over space out of a kernel, so that a constant offset of the picture does nothing."""
    return kernel - ops.mean(kernel, axis=(0, 1), keepdims=True)


def _centre_first_convs(model: PointModel) -> None:
    """Keep the first convolutions without a mean while they are trained."""
    for layer, *_ in model.features.branches.values():
        if layer.trainable:
            layer.kernel.assign(centre_kernel(layer.kernel))
            layer.kernel.constraint = centre_kernel


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
    losses = {"levels": blur_level_loss, "focal": focal_loss}
    loss = losses.get(settings.loss) or keras.losses.SparseCategoricalCrossentropy()
    # XLA makes TensorFlow slower; JAX without it takes each operation on its own.
    model.compile(optimizer=optimizer, loss=loss, jit_compile=keras.backend.backend() == "jax")
    model.optimizer.build(model.trainable_variables)
