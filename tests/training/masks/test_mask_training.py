"""Training a blur-detection network, from the inside and from the outside."""

import dataclasses
import json
import os
import signal

import numpy as np
import pytest
from typer.testing import CliRunner

from defocus_edge.masks import BlurDetector
from defocus_edge.networks.presets import SegmentationPreset, load_segmentation_preset, save_segmentation_preset
from defocus_edge.networks.segmentation.architectures.lite import LiteNetConfig
from defocus_edge.networks.segmentation.architectures.maganet import MaGanetConfig, build_ma_ganet
from defocus_edge.networks.segmentation.architectures.msdu import MsduNetConfig
from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS, build_segmentation_network
from defocus_edge.networks.segmentation.tiles import MapEvaluator
from defocus_edge.propagation.probability import smooth_probability
from tests.conftest import write_png
from tests.training.training_cases import read_rows
from training.__main__ import app
from training.masks import calibration, vgg16
from training.masks.calibration import calibrate_network, find_temperature
from training.masks.choices import UNLABELLED
from training.masks.config import read_mask_config
from training.masks.model import MaskTrainer
from training.masks.samplers import PhotoSampler
from training.masks.scenes import MaskScene
from training.masks.settings import MaskTrainingSettings
from training.masks.training import MaskTask
from training.runs import training as run_training
from training.runs.checkpoints import CheckpointError, find_checkpoint, load_network

SETTINGS = MaskTrainingSettings("msdu", steps=2, batch=2, side=32, optimizer="adam", warmup=1)
TINY = MsduNetConfig(width=1 / 16, normalization="batch")
CONFIG = """
[network]
width = 0.0625
normalization = "batch"
[training]
steps = 2
batch = 2
side = 32
optimizer = "sgd"
"""


class Blocks:
    """Pictures that are bright where they are blurred."""

    def draw_batch(self, count, rng):
        masks = (rng.random((count, 4, 4)) > 0.5).repeat(8, axis=1).repeat(8, axis=2)
        images = 0.5 * rng.random((count, 32, 32, 3), dtype=np.float32) + 0.5 * masks[..., None]
        return images.astype(np.float32), masks


@pytest.fixture(autouse=True)
def eager():
    """Compiling takes longer than a few small steps."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def pairs_root(tmp_path, rng):
    for number in range(11):
        mask = (rng.random((5, 5)) > 0.5).astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1) * 255
        write_png(tmp_path / "root" / "image" / f"{number:02}.png", np.dstack([mask // 2 + 60] * 3))
        write_png(tmp_path / "root" / "gt" / f"{number:02}.png", mask)
    return tmp_path / "root"


def train(folder, settings=SETTINGS, **options):
    import keras

    keras.utils.set_random_seed(settings.seed)
    trainer = MaskTrainer(settings, TINY)
    task = MaskTask(trainer, Blocks(), Blocks(), scored_crops=4)
    return trainer, run_training.train(task, folder, **options)


def run(command, root, out, *options, config=CONFIG):
    path = out.parent / "tiny.toml"
    path.write_text(config, encoding="utf-8")
    given = ["--root", str(root), "--out", str(out), "--config", str(path), "--dataset", "pairs", *options]
    return CliRunner(env={"COLUMNS": "500"}).invoke(app, [command, *given])


def read_words(result):
    assert "Traceback" not in result.output
    return " ".join(result.output.replace("│", "").split())


def test_a_run_that_is_resumed_ends_as_one_that_was_not_interrupted(tmp_path):
    whole, scores = train(tmp_path / "whole")
    train(tmp_path / "parts", dataclasses.replace(SETTINGS, steps=1))
    parts, again = train(tmp_path / "parts", resume=True)
    for one, other in zip(whole.variables, parts.variables, strict=True):
        np.testing.assert_allclose(np.array(one), np.array(other), rtol=1e-4, atol=1e-6)
    assert scores == pytest.approx(again, abs=2e-3)
    assert [int(row["step"]) for row in read_rows(tmp_path / "parts" / "msdu.csv")] == [1, 2]


def test_a_run_is_not_overwritten_nor_resumed_with_other_settings(tmp_path):
    settings = dataclasses.replace(SETTINGS, steps=1, optimizer="sgd")
    train(tmp_path, settings)
    with pytest.raises(CheckpointError, match=r"msdu\.npz must not exist for a new run"):
        train(tmp_path, settings)
    with pytest.raises(CheckpointError, match="batch is 1, was 2"):
        train(tmp_path, dataclasses.replace(settings, batch=1), resume=True)


def test_half_of_a_batch_has_no_masks_after_the_warm_up(tmp_path, rng, monkeypatch):
    write_png(tmp_path / "photos" / "a.png", rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    settings = dataclasses.replace(
        SETTINGS, network="maganet", adversarial_weight=0.001, discriminator_width=0.1, unlabelled_from=1, steps=2
    )
    seen = []
    monkeypatch.setattr(MaskTrainer, "take_step", lambda _, images, masks: seen.append((images, masks)) or 0.5)
    trainer = MaskTrainer(settings, MaGanetConfig(width=1 / 16))
    photos = PhotoSampler(tmp_path / "photos", side=32)
    run_training.train(MaskTask(trainer, Blocks(), Blocks(), scored_crops=2, photos=photos), tmp_path)
    assert [(masks[:, 0, 0, 0] == UNLABELLED).sum() for _, masks in seen] == [0, 1]
    assert {images.shape for images, _ in seen} == {(2, 32, 32, 3)}
    with pytest.raises(ValueError, match="unlabelled_from = 1 needs a folder of photographs without masks"):
        MaskTask(trainer, Blocks(), Blocks())


def test_the_threshold_is_where_f_beta_is_largest(monkeypatch):
    """A network that says 0.3 where it is sharp and 0.6 where it is blurred wants a threshold between."""
    mask = np.zeros((32, 32), dtype=bool)
    mask[:, :16] = True
    scene = MaskScene("one", "shape", np.repeat(mask[..., None], 3, axis=2).astype(np.float32), mask)

    class Says:
        def __init__(self, network, **_):
            pass

        def predict(self, image):
            return np.where(image[..., 0] > 0.5, np.float32(0.6), np.float32(0.3))

    monkeypatch.setattr(calibration, "MapEvaluator", Says)
    _, threshold, scores = calibrate_network(MaskTrainer(SETTINGS, TINY), [scene])
    assert 0.4 < threshold < 0.55
    assert scores["IoU"] == scores["boundary Fβ"] == 1
    assert scores["max-of-mean Fβ"] == 1
    assert scores["MAE"] == pytest.approx(0.35, abs=1e-3)
    assert scores["protocol"] == "per-image mean, native size"


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_the_temperature_makes_probabilities_what_they_say(rng, true):
    """Logits `true` times too large are found out."""
    logits = rng.normal(0, 2, (200, 300))
    mask = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    said = (1 / (1 + np.exp(-logits * true))).astype(np.float32)
    assert find_temperature([said[:100], said[100:]], [mask[:100], mask[100:]]) == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize("network", ["msdu", "lite"])
def test_the_temperature_is_in_the_weights(monkeypatch, rng, network):
    settings = dataclasses.replace(SETTINGS, network=network)
    config = TINY if network == "msdu" else LiteNetConfig(width=1 / 16)
    trainer = MaskTrainer(settings, config)
    monkeypatch.setattr(calibration, "find_temperature", lambda *_: 2.0)
    mask = np.zeros((32, 32), dtype=bool)
    mask[:, :16] = True
    image = rng.random((32, 32, 3), dtype=np.float32)
    network, _, scores = calibrate_network(trainer, [MaskScene("one", "shape", image, mask)])
    before, after = (np.asarray(one(image[None], training=False)) for one in (trainer.network, network))
    np.testing.assert_allclose(after[..., -1], before[..., -1] / 2, atol=1e-5)
    assert scores["temperature"] == 2


def test_a_command_trains_and_writes_a_preset_that_the_detector_loads(pairs_root, tmp_path):
    out = tmp_path / "runs" / "tiny"
    out.parent.mkdir()
    result = run("msdu", pairs_root, out)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == str(out / "preset")
    metadata = json.loads((out / "preset" / "metadata.json").read_text(encoding="utf-8"))
    command = "python -m training msdu --config tiny.toml --dataset pairs --root DATA --out tiny"
    assert metadata["command"] == command
    assert metadata["settings"]["steps"] == 2
    assert str(tmp_path) not in json.dumps(metadata)
    found = BlurDetector("msdu", preset=out / "preset").detect(np.zeros((40, 50, 3), dtype=np.uint8))
    assert found.mask.shape == (40, 50)
    again = run("msdu", pairs_root, tmp_path / "runs" / "other", "--start", str(out / "preset"), "--steps", "1")
    assert again.exit_code == 0, again.output
    for result, complaint in (
        (run("msdu", pairs_root, out), "msdu.npz must not exist for a new run"),
        (run("msdu", pairs_root, out, "--resume", "--seed", "3"), "seed is 3, was 0"),
        (run("defusion", pairs_root, tmp_path / "runs" / "x", "--start", str(out / "preset")), "must be of defusion"),
    ):
        assert result.exit_code == 2
        assert complaint in read_words(result)


def test_ctrl_c_says_how_to_go_on(pairs_root, tmp_path, monkeypatch):
    take_step = MaskTrainer.take_step

    def press_ctrl_c(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return take_step(*arguments)

    monkeypatch.setattr(MaskTrainer, "take_step", press_ctrl_c)
    out = tmp_path / "tiny"
    result = run("msdu", pairs_root, out)
    assert result.exit_code == 130
    assert f"Interrupted. To go on: python -m training msdu --config {tmp_path}/tiny.toml" in read_words(result)
    assert "--resume" in result.output
    with np.load(out / "msdu.npz") as checkpoint:
        assert checkpoint["step"] == 1


@pytest.mark.parametrize(
    ("command", "options", "complaint"),
    [
        (
            "msdu",
            ["--config", "huge"],
            "config must be one of ['compact', 'paper', 'photographs'] or a TOML file. Got: 'huge'",
        ),
        ("maganet", ["--config", "paper"], "wants photographs without masks from step"),
        ("msdu", ["--root", "nowhere"], "nowhere"),
        ("sg", ["--config", "compact"], "dataset must be synthetic or mixed with self_generated"),
        ("msdu", ["--dataset", "cuhk"], "CUHK set must hold"),
        ("msdu", ["--out", "README.md"], "out must be a folder that can be written"),
        ("msdu", ["--start", "nobody"], "preset must be one of"),
    ],
)
def test_wrong_options_are_one_line(command, options, complaint, pairs_root, tmp_path, repository, monkeypatch):
    monkeypatch.chdir(repository)
    result = run(command, pairs_root, tmp_path / "out", *options)
    assert result.exit_code == 2
    assert complaint in read_words(result)


@pytest.fixture
def imagenet(monkeypatch):
    """VGG16 with random weights in the place of ImageNet's."""
    import keras

    build = keras.applications.VGG16
    made = []

    def load(weights, include_top):
        assert (weights, include_top) == ("imagenet", False)
        made.append(build(weights=None, include_top=False))
        return made[-1]

    monkeypatch.setattr(vgg16.keras.applications, "VGG16", load)
    return made


def test_imagenet_weights_give_what_keras_gives(imagenet, rng):
    """The same picture, as each of the two wants it, has the same features."""
    import keras

    network = build_ma_ganet()
    assert vgg16.fill_from_imagenet(network, MaGanetConfig()) is None
    image = rng.random((1, 32, 32, 3), dtype=np.float32)
    ours = keras.Model(network.input, network.get_layer("vgg_conv1_2").output)(image)
    prepared = keras.applications.vgg16.preprocess_input(image * 255)
    theirs = keras.Model(imagenet[0].input, imagenet[0].get_layer("block1_conv2").output)(prepared)
    np.testing.assert_allclose(np.maximum(np.array(ours), 0), np.array(theirs), rtol=1e-3, atol=1e-2)


def test_imagenet_weights_fill_each_layer_of_vgg16_that_a_network_has(imagenet):
    import keras

    source = keras.Input((None, None, 256))
    names = ("group1_vgg_conv4_1", "group2_vgg_conv4_1", "vgg_conv4_1_other")
    tensors = [keras.layers.Conv2D(512, 3, name=name)(source) for name in names]
    network = keras.Model(source, tensors)
    before = network.get_layer(names[-1]).get_weights()
    assert vgg16.fill_from_imagenet(network, MsduNetConfig()) is None
    theirs = imagenet[0].get_layer("block4_conv1").get_weights()
    for name, expected in zip(names, (theirs, theirs, before), strict=True):
        for ours, weights in zip(network.get_layer(name).get_weights(), expected, strict=True):
            np.testing.assert_array_equal(ours, weights)


def test_imagenet_weights_fit_the_papers_width_only():
    assert "fit a network of width 1 only, this one has 0.0625" in vgg16.fill_from_imagenet(None, TINY)


def test_a_failed_download_is_told(monkeypatch):
    def fail(**_):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(vgg16.keras.applications, "VGG16", fail)
    assert "URL fetch failure" in vgg16.fill_from_imagenet(None, MsduNetConfig())


def test_settings_of_the_mixture_are_refused_with_other_data(pairs_root, tmp_path):
    config = tmp_path / "mixture.toml"
    config.write_text(f"{CONFIG}photo_share = 0.5\n")
    options = ["--root", pairs_root, "--out", tmp_path / "run", "--config", config, "--dataset", "pairs"]
    result = CliRunner().invoke(app, ["msdu", *map(str, options)])
    assert result.exit_code == 2
    assert "photo_share goes with the dataset mixed only" in " ".join(result.output.replace("│", " ").split())


def test_a_preset_says_what_size_the_network_sees(pairs_root, tmp_path):
    config = tmp_path / "seen.toml"
    config.write_text(f"{CONFIG}seen_side = [32, 48]\nsmoothing = 0.05\n")
    options = ["--root", pairs_root, "--out", tmp_path / "run", "--config", config, "--dataset", "pairs"]
    result = CliRunner().invoke(app, ["msdu", *map(str, options)])
    assert result.exit_code == 0, result.output
    folder = tmp_path / "run" / "preset"
    written = json.loads((folder / "config.json").read_text())
    assert (written["seen_side"], written["smoothing"]) == ([32, 48], 0.05)
    image = np.random.default_rng(0).random((64, 48, 3), dtype=np.float32)
    coarse = BlurDetector("msdu", preset=folder).detect(image).probability
    evaluator = MapEvaluator(load_segmentation_preset(folder).model, stride=16, seen_side=(32, 48))
    np.testing.assert_allclose(coarse, smooth_probability(evaluator.predict(image), image, 0.05), atol=1e-6)


def test_the_weights_of_both_ends_may_be_averaged(pairs_root, tmp_path):
    config = tmp_path / "both.toml"
    config.write_text(f"{CONFIG}start_share = 0.25\n")
    options = ["msdu", "--root", pairs_root, "--dataset", "pairs", "--config", config]
    refused = CliRunner().invoke(app, [*map(str, options), "--out", str(tmp_path / "none")])
    assert refused.exit_code == 2
    assert "start_share must be 0 without start. Got: 0.25." in " ".join(refused.output.replace("│", " ").split())
    architecture = read_mask_config("msdu", str(config)).architecture
    first, last, kept = (build_segmentation_network("msdu", architecture) for _ in range(3))
    save_segmentation_preset(SegmentationPreset("msdu", architecture, first, 0.5), tmp_path / "first", {}, half=False)
    run = [*map(str, options), "--out", str(tmp_path / "run"), "--start", str(tmp_path / "first")]
    result = CliRunner().invoke(app, run)
    assert result.exit_code == 0, result.output
    load_network(find_checkpoint(tmp_path / "run", "msdu"), last.variables)
    kept.set_weights(load_segmentation_preset(tmp_path / "run" / "preset").model.get_weights())
    moved = 0
    for one, two, three in zip(first.layers, last.layers, kept.layers, strict=True):
        if one.name == SEGMENTATION_NETWORKS["msdu"].score_layer:
            continue  # divided by the temperature
        for start, end, mean in zip(one.get_weights(), two.get_weights(), three.get_weights(), strict=True):
            np.testing.assert_allclose(mean, 0.25 * start + 0.75 * end, rtol=2e-3, atol=1e-5)  # stored as float16
            moved = max(moved, np.abs(end - start).max())
    assert moved > 1e-3
