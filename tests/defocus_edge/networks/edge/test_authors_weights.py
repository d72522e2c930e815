"""The authors' published weights: each array goes to its layer, and everything else is refused with a reason."""

import numpy as np
import pytest
from scipy.io import savemat

from defocus_edge.networks.edge.architecture import EdgeNetworksConfig
from defocus_edge.networks.edge.authors_weights import import_authors_weights
from defocus_edge.networks.edge.networks import build_edge_networks
from defocus_edge.networks.preset_files import PresetError

BLUR_LAYERS = [f"{group}_conv{number}" for group in ("b1", "b2", "b3", "blur_head") for number in (1, 2, 3, 4)]
EDGE_LAYERS = [f"{group}_conv{number}" for group in ("b1", "f2", "b2", "b3", "edge_head") for number in (1, 2, 3, 4)]


def list_arrays(folder, head, layers):
    """Path of each of the authors' files with the layer and the shape of its array."""
    networks = build_edge_networks()
    names = [*layers, *(f"{head}_head_dense{number}" for number in (1, 2, 3))]
    variables = [(name, tuple(weight.shape)) for name in names for weight in networks.joint.get_layer(name).weights]
    return [(folder / head / f"{number}.mat", name, shape) for number, (name, shape) in enumerate(variables)]


@pytest.fixture
def authors_folder(tmp_path):
    """Made-up files in the layout of the authors' weights: each array full of a number that tells its layer."""
    folder = tmp_path / "authors"
    for head, layers in (("blur", BLUR_LAYERS), ("edge", EDGE_LAYERS)):
        (folder / head).mkdir(parents=True)
        for number, (path, name, shape) in enumerate(list_arrays(folder, head, layers)):
            value = BLUR_LAYERS.index(name) if name in BLUR_LAYERS else number + 100
            array = np.full(shape, value, dtype=np.float32)
            savemat(path, {"weights": array}, do_compression=True)  # a bias becomes a row, as in their files
    return folder


def test_authors_arrays_go_to_their_layers(authors_folder):
    networks = import_authors_weights(authors_folder)
    assert networks.config == EdgeNetworksConfig(crop_shift=1, input_mean=0.0, input_gain=1.0)
    found = {layer.name: [float(weight.numpy().mean()) for weight in layer.weights] for layer in networks.joint.layers}
    assert [found[name] for name in BLUR_LAYERS] == [[number] for number in range(16)]
    # Numbers of the issue: edge 4-7 f2, 16-19 head convolutions, 20-25 dense (weight, bias) three times.
    assert [found[f"f2_conv{number}"] for number in (1, 2, 3, 4)] == [[104], [105], [106], [107]]
    assert [found[f"edge_head_conv{number}"] for number in (1, 2, 3, 4)] == [[116], [117], [118], [119]]
    assert [found[f"edge_head_dense{number}"] for number in (1, 2, 3)] == [[120, 121], [122, 123], [124, 125]]
    assert [found[f"blur_head_dense{number}"] for number in (1, 2, 3)] == [[116, 117], [118, 119], [120, 121]]


@pytest.mark.parametrize("name", ["blur/0.mat", "blur/21.mat", "edge/25.mat"])
def test_missing_file_of_the_authors_is_named(authors_folder, name):
    (authors_folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"one \.mat file for each array\. Not found: .*{name}"):
        import_authors_weights(authors_folder)


def test_missing_folder_of_the_authors_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Not found: .*nowhere/blur/0\.mat"):
        import_authors_weights(tmp_path / "nowhere")


def test_array_of_another_shape_is_refused(authors_folder):
    savemat(authors_folder / "blur" / "1.mat", {"weights": np.zeros((3, 3, 64, 32), dtype=np.float32)})
    with pytest.raises(PresetError, match=r"1\.mat must hold the \(3, 3, 64, 64\) array of b1_conv2\. Got: shape "):
        import_authors_weights(authors_folder)


def test_f1_must_be_the_same_in_both_folders(authors_folder):
    savemat(authors_folder / "edge" / "8.mat", {"weights": np.full((3, 3, 3, 64), 9, dtype=np.float32)})
    with pytest.raises(PresetError, match=r"The layer b2_conv1 must be the same in .*blur and .*edge; it is not"):
        import_authors_weights(authors_folder)


def test_mat_file_with_another_key_is_refused(authors_folder):
    savemat(authors_folder / "blur" / "0.mat", {"kernel": np.zeros((3, 3, 3, 64), dtype=np.float32)})
    with pytest.raises(PresetError, match=r"0\.mat is not a MATLAB file with the key 'weights'"):
        import_authors_weights(authors_folder)


@pytest.mark.parametrize("kept", [0, 60, 200, -20])
def test_damaged_mat_file_is_refused(authors_folder, kept):
    path = authors_folder / "blur" / "3.mat"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(PresetError, match=r"3\.mat is not a MATLAB file with the key 'weights'"):
        import_authors_weights(authors_folder)


def test_file_that_is_no_mat_file_is_refused(authors_folder):
    (authors_folder / "edge" / "5.mat").write_text("no matrix " * 50, encoding="utf-8")
    with pytest.raises(PresetError, match=r"5\.mat is not a MATLAB file with the key 'weights'"):
        import_authors_weights(authors_folder)


def test_nan_of_the_authors_is_refused(authors_folder):
    savemat(authors_folder / "blur" / "2.mat", {"weights": np.full((3, 3, 64, 64), np.nan, dtype=np.float32)})
    with pytest.raises(PresetError, match=r"2\.mat is not a MATLAB file .* array of .*\. Got: NaN or infinite numbers"):
        import_authors_weights(authors_folder)
