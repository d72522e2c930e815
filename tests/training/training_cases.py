"""What tests of training share: settings of a short run, networks that may be trained, samplers without chance."""

import csv

import numpy as np

from defocus_edge.networks.edge.networks import build_edge_networks
from training.edges.model import build_model, compile_model
from training.edges.settings import TrainingSettings

BLUR = TrainingSettings("blur", steps=4, crops=2, points=40, warmup=1, optimizer="adam")
EDGE = TrainingSettings("edge", steps=4, crops=2, points=40, warmup=1, optimizer="adam", loss="cross entropy")
SETTINGS = {"blur": BLUR, "edge": EDGE}


class FixedSampler:
    """The batches of a list, one after the other, whatever is asked for; the last one again and again."""

    def __init__(self, *batches):
        self.batches = list(batches)

    def draw_batch(self, *_, **__):
        return self.batches.pop(0) if len(self.batches) > 1 else self.batches[0]


def copy_networks(networks):
    copied = build_edge_networks(networks.config)
    copied.joint.set_weights(networks.joint.get_weights())
    return copied


def compile_eagerly(model, settings):
    """`compile_model` for a few steps: tracing a graph takes longer than they do."""
    compile_model(model, settings)
    model.run_eagerly = True


def make_model(networks, settings=BLUR):
    model = build_model(networks, settings)
    compile_eagerly(model, settings)
    return model


def get_weights(networks):
    return {layer.name: layer.get_weights() for layer in networks.joint.layers if layer.weights}


def find_changed(before, after):
    return {
        name
        for name in before
        if any((one != other).any() for one, other in zip(before[name], after[name], strict=True))
    }


def list_values(model):
    return [np.array(variable) for variable in (*model.variables, *model.optimizer.variables)]


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
