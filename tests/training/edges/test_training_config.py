"""Configurations: the three of the package say what they promise, a wrong one is told by file and key."""

import dataclasses

import pytest

from defocus_edge.networks.edge.architecture import EdgeNetworksConfig
from training.data.camera import FAMILIES
from training.edges.config import read_config
from training.edges.settings import TrainingSettings
from training.runs.config import CONFIGS_FOLDER, list_configs

#: One epoch of the paper: 5 million patches in batches of 256.
EPOCH = 19531
STAGES = "[bnet]\nsteps = 3\n[enet]\nsteps = 2\n"


def read_text(folder, text):
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return read_config(str(path))


def test_configurations_of_the_package():
    assert list_configs() == ["default", "gpu", "paper", "single-scale", "small"]
    assert [read_config(name).name for name in list_configs()] == list_configs()


def test_default_is_ours():
    config = read_config("default")
    ours = TrainingSettings(
        "blur", 24000, crops=20, points=96, learning_rate=2e-3, precision="mixed_bfloat16", optimizer="muon"
    )
    assert config.bnet == ours
    assert config.enet == dataclasses.replace(
        ours, head="edge", steps=8000, loss="cross entropy", families=config.enet.families
    )
    assert config.enet.families["composite"] + config.enet.families["depth"] > 0.8  # where depth edges are
    assert config.architecture == EdgeNetworksConfig()
    assert (config.checkpoint_seconds, config.validation_crops) == (180, 512)
    assert config.bnet.families == FAMILIES
    assert list(config.bnet.families) == list(FAMILIES)
    assert config.bnet.validation_stride == 10


def test_gpu_ends_by_the_clock_with_crops_from_the_device():
    gpu = read_config("gpu")
    assert gpu.architecture.head_normalization
    for stage in (gpu.bnet, gpu.enet):
        assert stage.sampler == "device"
        assert stage.seconds < stage.steps
        assert set(stage.families) == {"uniform", "gradual", "composite"}
    assert (gpu.bnet.loss, gpu.enet.loss) == ("levels", "focal")
    assert gpu.enet.copy_branch


def test_small_is_ours_in_short():
    default, small = read_config("default"), read_config("small")
    assert (small.bnet.steps, small.enet.steps) == (2200, 1000)
    assert small.bnet == dataclasses.replace(default.bnet, steps=2200)
    assert small.enet == dataclasses.replace(default.enet, steps=1000)
    assert small.architecture == default.architecture


def test_paper_is_the_papers():
    """Karaali et al., TIP 2022: Adam 1e-3, batch 256; 75 epochs, ÷10 every 10; E-NET 30 epochs, ÷10 every 5; 80/20."""
    config = read_config("paper")
    for settings in (config.bnet, config.enet):
        assert (settings.sampler, settings.optimizer, settings.schedule) == ("patches", "adam", "steps")
        assert settings.learning_rate == 1e-3
        assert settings.crops * settings.points == 256
        assert (settings.loss, settings.precision) == ("cross entropy", "float32")
        assert settings.validation_stride == 5
        assert settings.level_share == 1
    assert (config.bnet.steps, config.bnet.drop_steps) == (75 * EPOCH, 10 * EPOCH)
    assert (config.enet.steps, config.enet.drop_steps) == (30 * EPOCH, 5 * EPOCH)
    assert config.bnet.families == {"uniform": 1.0}
    assert set(config.enet.families) == {"composite", "uniform"}
    assert (config.architecture.filters, config.architecture.dense_units) == (64, (300, 150))
    assert (config.architecture.input_mean, config.architecture.input_gain) == (0, 1)


@pytest.mark.parametrize("name", ["default", "gpu", "paper", "single-scale", "small"])
def test_configurations_of_the_package_leave_nothing_unsaid(name):
    """Each setting stands in the file: who reads it knows the recipe."""
    config = read_config(name)
    text = (CONFIGS_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    assert read_config(str(CONFIGS_FOLDER / f"{name}.toml")) == config
    for word in ("seed", "validation_stride", "optimizer", "learning_rate", "loss", "precision", "families"):
        assert word in text


def test_what_a_file_leaves_out_is_as_in_the_settings(tmp_path):
    config = read_text(tmp_path, STAGES)
    assert config.bnet == TrainingSettings("blur", 3)
    assert config.enet == TrainingSettings("edge", 2, loss="cross entropy")
    assert config.architecture == EdgeNetworksConfig()
    assert config.name == "mine"
    assert config.source == {"bnet": {"steps": 3}, "enet": {"steps": 2}}


def test_seed_stride_and_networks_hold_for_both_stages(tmp_path):
    text = (
        f"seed = 7\nvalidation_stride = 5\ncheckpoint_seconds = 0\n{STAGES}[networks]\nfilters = 4\ndense_units = [8]"
    )
    text += "\nhead_normalization = true"
    config = read_text(tmp_path, text)
    assert {stage.seed for stage in (config.bnet, config.enet)} == {7}
    assert {stage.validation_stride for stage in (config.bnet, config.enet)} == {5}
    assert config.architecture == EdgeNetworksConfig(filters=4, dense_units=(8,), head_normalization=True)
    assert config.checkpoint_seconds == 0


def test_seed_and_steps_can_be_replaced(tmp_path):
    config = read_text(tmp_path, STAGES).change(seed=3, steps=9)
    assert [(stage.seed, stage.steps) for stage in (config.bnet, config.enet)] == [(3, 9), (3, 9)]


def test_steps_may_be_counted_while_the_rate_drops_by_epochs(tmp_path):
    text = "[bnet]\nsteps = 50\nschedule = 'steps'\ndrop_epochs = 2\nsteps_per_epoch = 10\n[enet]\nsteps = 2"
    config = read_text(tmp_path, text)
    assert (config.bnet.steps, config.bnet.drop_steps) == (50, 20)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("speed = 1", r"mine\.toml: speed must not be there\. Known keys here: .*seed.*\. Got: 1\."),
        ("seed = -1", r"mine\.toml: seed must be greater than or equal to 0\. Got: -1\."),
        ("validation_stride = 7", r"validation_stride must be one of 2, 5, 10, so that every 10th picture.*Got: 7\."),
        (f"validation_crops = 0\n{STAGES}", r"validation_crops must be greater than or equal to 1\. Got: 0\."),
        ("checkpoint_seconds = nan", r"checkpoint_seconds must be a finite number\. Got: nan\."),
        ("bnet = 3\n[enet]\nsteps = 1", r"mine\.toml: bnet must be a table\. Got: 3\."),
        ("[bnet]\nsteps = 1", r"mine\.toml: enet must be given\. Got: none\."),
        (
            f"{STAGES}[networks]\nfilters = 0",
            r"mine\.toml: networks\.filters and .* must be positive\. Got: 0",
        ),
        (
            f"{STAGES}[networks]\ndense_units = []",
            r"networks\..* dense_units must be positive\. Got: 64, \(\)",
        ),
        (f"{STAGES}[networks]\ninput_gain = '4'", r"networks\.input_gain must be a valid number\. Got: '4'\."),
        (f"{STAGES}[networks]\ncrop_shift = 2", r"networks\.crop_shift must be 0 .*\. Got: 2\."),
        (f"{STAGES}[networks]\ndense_units = 3", r"networks\.dense_units must be a list\. Got: 3\."),
        (
            f"{STAGES}[networks]\nhead_normalization = 1",
            r"networks\.head_normalization must be a valid boolean\. Got: 1\.",
        ),
        (f"{STAGES}[networks]\ndepth_threshold = 0.3", r"networks\.depth_threshold must not be there"),
        (f"{STAGES}[networks]\nlayers = 3", r"networks\.layers must not be there"),
        (f"networks = 3\n{STAGES}", r"networks must be a table\. Got: 3\."),
    ],
)
def test_wrong_common_keys(text, complaint, tmp_path):
    with pytest.raises(ValueError, match=complaint):
        read_text(tmp_path, text)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("", r"mine\.toml: bnet\.steps must be given, or else epochs with steps_per_epoch"),
        ("steps = 'a'", r"mine\.toml: bnet\.steps must be a valid integer\. Got: 'a'\."),
        ("steps = true", r"bnet\.steps must be a valid integer\. Got: True\."),
        ("steps = 1\nepochs = 2\nsteps_per_epoch = 3", r"bnet\.steps must be given, or else epochs"),
        ("epochs = 2", r"bnet\.steps_per_epoch must go with epochs or drop_epochs"),
        ("steps = 1\nsteps_per_epoch = 2", r"bnet\.steps_per_epoch must go with epochs or drop_epochs"),
        ("steps = 1\nhead = 'edge'", r"bnet\.head must not be there"),
        ("steps = 1\nlearning_rate = 'fast'", r"bnet\.learning_rate must be a valid number\. Got: 'fast'\."),
        ("steps = 1\nlearning_rate = 3", r"bnet\.learning_rate must be less than or equal to 1\. Got: 3\."),
        ("steps = 1\ndecay = 1.5", r"bnet\.decay must be less than or equal to 1\. Got: 1\.5\."),
        ("steps = 1\nwarmup = 0.5", r"bnet\.warmup must be a valid integer\. Got: 0\.5\."),
        ("steps = 1\nsampler = 'points'", r"bnet\.sampler must be 'dense', 'patches' or 'device'\. Got: 'points'\."),
        ("steps = 1\noptimizer = ['adam']", r"bnet\.optimizer must be 'muon' or 'adam'\. Got: \['adam'\]\."),
        ("steps = 1\nloss = 'mse'", r"bnet\.loss must be 'levels', 'cross entropy' or 'focal'\. Got: 'mse'\."),
        ("steps = 1\nloss = 'focal'", r"loss must be 'cross entropy' or 'levels' for B-NET\. Got: 'focal'\."),
        ("steps = 1\nseconds = 0", r"bnet\.seconds must be greater than 0\. Got: 0\."),
        ("steps = 1\nprecision = 'half'", r"bnet\.precision must be 'float32' or 'mixed_bfloat16'\. Got: 'half'\."),
        (
            "steps = 1\nfamilies = {macro = 1}",
            r"bnet\.families must be a table of positive shares, of uniform.*macro",
        ),
        ("steps = 1\nfamilies = {}", r"bnet\.families must be a table of positive shares, of uniform, .*Got: {}"),
        ("steps = 1\nfamilies = {uniform = 0}", r"bnet\.families\.uniform must be greater than 0\. Got: 0\."),
        ("steps = 1\nschedule = 'cosine'", r"bnet\.schedule must be 'stable-decay' or 'steps'\. Got: 'cosine'\."),
        ("steps = 1\nschedule = 'steps'", r"bnet\.drop_epochs must go with the schedule 'steps'"),
        ("steps = 1\ndrop_epochs = 3", r"bnet\.drop_epochs must not be there"),
        ("steps = 1\nbatch = 8", r"bnet\.batch must not be there"),
        ("steps = 1\nsampler = 'patches'\nbatch = 8\ncrops = 2", r"bnet\.crops must not be there"),
        ("steps = 1\nsampler = 'patches'", r"bnet\.batch must be given\. Got: none\."),
        ("steps = 1\nsampler = 'patches'\nbatch = 20", r"bnet\.batch must be a multiple of 8\. Got: 20\."),
        (
            "steps = 1\nsampler = 'patches'\nbatch = 8\nprecision = 'mixed_bfloat16'",
            r"bnet\.precision must be 'float32' with patches\. Got: 'mixed_bfloat16'\.",
        ),
    ],
)
def test_wrong_keys_of_a_stage(table, complaint, tmp_path):
    with pytest.raises(ValueError, match=complaint) as caught:
        read_text(tmp_path, f"[bnet]\n{table}\n[enet]\nsteps = 1")
    assert "\n" not in str(caught.value)


def test_e_net_has_one_loss(tmp_path):
    with pytest.raises(ValueError, match=r"enet\.loss must be 'cross entropy' or 'focal' for E-NET\. Got: 'levels'\."):
        read_text(tmp_path, f"{STAGES}loss = 'levels'")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        *(
            ("tiny", "'tiny': No such file"),
            (".", "Is a directory"),
            ("broken.toml", "Expected"),
            ("latin.toml", "utf-8"),
        ),
        ("deep.toml", "recursion"),
    ],
)
def test_no_configuration_at_all(name, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.toml").write_text("[bnet", encoding="utf-8")
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 9999, encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"config must be one of \['default', 'gpu', 'paper', 'single-scale', 'small'\] or a TOML file"
    ) as caught:
        read_config(name)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"head": "depth"}, "head\n.*should be 'blur' or 'edge'.*'depth'"),
        ({"steps": 0}, "steps\n.*should be greater than or equal to 1"),
        ({"crops": 0}, "crops\n.*should be greater than or equal to 1"),
        ({"points": -1}, "points\n.*should be greater than or equal to 1"),
        ({"speed": 1}, "speed\n.*Unexpected keyword argument"),
        ({"schedule": "steps"}, r"drop_steps must be positive with the schedule 'steps'\. Got: 0"),
    ],
)
def test_settings_are_checked_without_a_file_too(values, complaint):
    with pytest.raises(ValueError, match=complaint):
        TrainingSettings(**{"head": "blur", "steps": 1, **values})
