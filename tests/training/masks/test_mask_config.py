"""Configurations of the blur-detection networks: complete, and checked to the last key."""

import dataclasses

import pytest

from defocus_edge.networks.segmentation.names import NETWORK_NAMES
from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS
from training.masks.config import read_mask_config
from training.runs.config import CONFIGS_FOLDER, list_configs

MINIMAL = "[training]\nsteps = 5\n"


def read(tmp_path, text, network="msdu"):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return read_mask_config(network, str(path))


# The networks of the papers with presets, which can go on from scenes to photographs.
GOING_ON = ("defusion", "maganet", "msdu")


@pytest.mark.parametrize("network", GOING_ON)
def test_photographs_are_the_same_recipe_for_all_networks_of_the_compact_width(network):
    config, compact = (read_mask_config(network, name) for name in ("photographs", "compact"))
    assert config.architecture == compact.architecture
    other = read_mask_config("msdu", "photographs").settings
    assert dataclasses.replace(config.settings, network="msdu") == other


@pytest.mark.parametrize("network", [name for name in NETWORK_NAMES if name != "lite"])
def test_each_network_has_a_compact_recipe_and_the_papers(network):
    generator = ["generator"] if network == "maganet" else []
    photographs = ["photographs"] if network in GOING_ON else []
    assert list_configs(network) == ["compact", *generator, "paper", *photographs]
    compact, paper = (read_mask_config(network, name) for name in ("compact", "paper"))
    assert compact.architecture.width < paper.architecture.width == 1
    assert paper.architecture == SEGMENTATION_NETWORKS[network].config_class()
    assert {compact.settings.network, paper.settings.network} == {network}
    for config in (compact, paper):
        assert read_mask_config(network, str(CONFIGS_FOLDER / network / f"{config.name}.toml")) == config


@pytest.mark.parametrize("network", NETWORK_NAMES)
def test_the_short_recipe_is_the_same_for_all_networks(network):
    path = str(CONFIGS_FOLDER / "short" / "masks.toml")
    config = read_mask_config(network, path)
    assert config.architecture.width == 0.25
    assert config.architecture.normalization == "batch"
    assert dataclasses.replace(config.settings, network="msdu") == read_mask_config("msdu", path).settings


def test_btbnet_differs_from_the_short_recipe_by_its_poolings_only():
    usual, own = (
        read_mask_config("btbnet", str(CONFIGS_FOLDER / "short" / f"{name}.toml")) for name in ("masks", "btbnet")
    )
    assert own.settings == usual.settings
    assert dataclasses.replace(own.architecture, pooling=False) == usual.architecture


def test_the_short_recipe_of_sg_takes_as_long_and_reads_no_masks():
    masks, own = (read_mask_config("sg", str(CONFIGS_FOLDER / "short" / f"{name}.toml")) for name in ("masks", "sg"))
    assert own.architecture == masks.architecture
    for name in ("seconds", "batch", "photo_share", "seen_side"):
        assert getattr(own.settings, name) == getattr(masks.settings, name)
    assert own.settings.self_generated
    assert not masks.settings.self_generated


def test_the_papers_of_sg():
    """The code of Zhao et al. 2021: 256×256, batch 4, SGD 0.5, 2e-4 throughout, adversarial loss 0.01."""
    settings = read_mask_config("sg", "paper").settings
    assert settings.self_generated
    assert (settings.side, settings.batch, settings.optimizer, settings.momentum) == (256, 4, "sgd", 0.5)
    assert (settings.learning_rate, settings.decay, settings.adversarial_weight) == (2e-4, 0, 0.01)
    assert (settings.photo_share, settings.blurred_share, settings.init) == (1, 0, "random")


def test_the_generator_alone_is_the_compact_recipe_without_adversary():
    compact, alone = (read_mask_config("maganet", name) for name in ("compact", "generator"))
    assert compact.settings.adversarial_weight > 0
    assert alone.architecture == compact.architecture
    discriminator = {"adversarial_weight": 0.0, "discriminator_width": 1.0}
    assert alone.settings == dataclasses.replace(compact.settings, **discriminator)


def test_ours_begins_with_imagenet_and_mixes_photographs_and_scenes():
    assert list_configs("lite") == ["large", "photographs", "scenes"]
    config = read_mask_config("lite", "photographs")
    assert config.architecture.width == 1
    assert config.settings.init == "imagenet"
    assert 0.5 < config.settings.photo_share < 1


def test_scales_must_be_in_order(tmp_path):
    with pytest.raises(ValueError, match=r"largest_scale must be at least smallest_scale\. Got: 0\.5 and 0\.8\."):
        read(tmp_path, f"{MINIMAL}smallest_scale = 0.8\nlargest_scale = 0.5\n")


def test_they_are_no_configurations_of_the_edge_networks():
    assert list_configs() == ["default", "gpu", "paper", "single-scale", "small"]


def test_the_papers_of_msdu_net():
    """Yang & Xiao 2020: 256×256, SGD 0.9, weight decay 5e-4, 0.01 ÷10 every 25 of 100 epochs, batch 16."""
    settings = read_mask_config("msdu", "paper").settings
    assert (settings.side, settings.batch, settings.optimizer, settings.momentum) == (256, 16, "sgd", 0.9)
    assert (settings.weight_decay, settings.learning_rate) == (5e-4, 0.01)
    assert settings.steps == 4 * settings.drop_steps


def test_the_papers_of_defusionnet():
    """Tang et al. 2019: SGD 0.9, 5e-4, batch 4, 320×320."""
    settings = read_mask_config("defusion", "paper").settings
    assert (settings.side, settings.batch, settings.optimizer, settings.momentum) == (320, 4, "sgd", 0.9)
    assert (settings.weight_decay, settings.init) == (5e-4, "imagenet")
    assert settings.rotation > 0
    assert settings.scaling > 1


def test_the_papers_of_ma_ganet():
    """Jiang et al. 2021: Adam 4e-4, weight decay 5e-4, batch 8, 384 to 320 px, ±0.15 π, adversarial loss 0.001."""
    settings = read_mask_config("maganet", "paper").settings
    assert (settings.side, settings.resized, settings.batch, settings.optimizer) == (320, 384, 8, "adam")
    assert (settings.learning_rate, settings.weight_decay) == (4e-4, 5e-4)
    assert settings.rotation == pytest.approx(0.4712, abs=1e-3)
    assert (settings.adversarial_weight, settings.iou_weight) == (0.001, 1.0)
    assert 0 < settings.unlabelled_from < settings.steps


def test_what_a_file_leaves_out_has_a_default(tmp_path):
    config = read(tmp_path, MINIMAL)
    assert config.settings.steps == 5
    assert config.architecture.width == 1
    assert config.change(steps=7, seed=None).settings == dataclasses.replace(config.settings, steps=7)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("colour = 1\n" + MINIMAL, r"mine\.toml: colour must not be there"),
        ("", r"mine\.toml: training must be given\. Got: none"),
        ("[training]\n", r"training\.steps must be given"),
        ("[training]\nsteps = 0\n", r"training\.steps must be greater than or equal to 1\. Got: 0"),
        (MINIMAL + "start = 'x'\n", r"training\.start must not be there"),
        (MINIMAL + "drop_epochs = 3\n", r"training\.drop_epochs must not be there"),
        (MINIMAL + "batch = 0\n", r"training\.batch must be greater than or equal to 1"),
        (MINIMAL + "[network]\nwidth = -1\n", r"network\.width must be positive and finite\. Got: -1"),
        (MINIMAL + "[network]\nwidth = 'wide'\n", r"network\.width must be a valid number\. Got: 'wide'"),
        (MINIMAL + "[network]\ndropout = 0.5\n", r"network\.dropout must not be there"),
        *(
            (
                MINIMAL + f"seen_side = {value}\n",
                r"seen_side must be a whole number from 20 to 4096, .*or 0 for full size\. Got: ",
            )
            for value in ("[]", "[0]", "19", "true", "'big'", "[512.5]")
        ),
        ("seed = -1\n" + MINIMAL, r"seed must be greater than or equal to 0"),
        ("checkpoint_seconds = -1\n" + MINIMAL, r"checkpoint_seconds must be greater than or equal to 0"),
    ],
)
def test_wrong_keys_are_named(text, complaint, tmp_path):
    with pytest.raises(ValueError, match=complaint):
        read(tmp_path, text)


def test_no_configuration_of_that_name():
    names = r"\['compact', 'paper', 'photographs'\]"
    with pytest.raises(ValueError, match=rf"config must be one of {names} or a TOML file\. Got: 'huge'"):
        read_mask_config("msdu", "huge")
