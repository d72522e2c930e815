"""faces.py: models that are none, and boxes in px of the picture, with a model that takes white squares for faces."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from defocus_edge.culling.faces import FaceFinder
from tests.defocus_edge.culling.face_cases import make_model


@pytest.fixture(scope="module")
def finder():
    return FaceFinder(make_model().SerializeToString())


def test_a_white_square_is_a_face(finder):
    image = np.zeros((96, 128, 3), np.float32)
    image[40:48, 64:72] = 1
    assert finder.find(image) == [(36, 60, 8, 8)]
    assert finder.find(np.zeros((64, 64, 3), np.float32)) == []


def test_boxes_of_a_large_picture_are_in_its_own_px(finder):
    image = np.zeros((960, 1280, 3), np.float32)
    image[400:416, 640:656] = 1
    assert finder.find(image) == [(392, 632, 16, 16)]


def test_faces_are_cut_at_the_sides(finder):
    image = np.zeros((64, 64, 3), np.float32)
    image[:8, :8] = 1
    assert finder.find(image) == [(0, 0, 4, 4)]


def make_other():
    """A sound ONNX file that finds no faces."""
    picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 64, 64])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, 3, 64, 64])
    graph = helper.make_graph([helper.make_node("Relu", ["input"], ["result"])], "other", [picture], [result])
    return helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


@pytest.mark.parametrize("model", [b"", b"no model", make_other()], ids=["empty", "text", "other"])
def test_what_is_no_model_of_yunet(model, capfd):
    with pytest.raises(ValueError, match="no model of YuNet in ONNX"):
        FaceFinder(model)
    assert capfd.readouterr().err == ""
