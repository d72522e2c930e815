"""Training configurations: TOML files with a table for each stage, checked to the last key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.edges.patch_sampler import PATCHES_PER_CROP
from training.edges.settings import (
    CHECKPOINT_SECONDS,
    RULES,
    VALIDATION_CROPS,
    TrainingSettings,
    check_value,
    is_integer,
    is_number,
)
from training.runs.config_rules import (
    COUNT,
    LENGTH_KEYS,
    NUMBER,
    SCHEDULE_KEYS,
    TABLE,
    Rule,
    check_keys,
    check_rules,
    count_steps,
    name_place,
    read_tables,
)

if TYPE_CHECKING:
    from defocus_edge.networks.edge.networks import EdgeNetworksConfig

#: Where the configurations of the package lie.
CONFIGS_FOLDER = Path(__file__).resolve().parents[1] / "configs"

# Settings that both stages share stand above the tables.
_SHARED_KEYS = ("seed", "validation_stride")
# The tables of stages, and what is true of each stage whatever its table says.
_STAGES: dict[str, dict[str, Any]] = {
    "bnet": {"head": "blur", "loss": "levels"},
    "enet": {"head": "edge", "loss": "cross entropy"},
}
_COMMON_RULES: dict[str, Rule] = {
    "validation_crops": COUNT,
    "checkpoint_seconds": ("a number of 0 or more", lambda value: is_number(value, 0, 1e9)),
}
_INTEGERS: Rule = (
    "a list of positive integers",
    lambda value: isinstance(value, list) and bool(value) and all(map(is_integer, value)),
)
_NETWORK_RULES: dict[str, Rule] = {
    "filters": COUNT,
    "dense_units": _INTEGERS,
    "input_mean": NUMBER,
    "input_gain": NUMBER,
    "crop_shift": ("0 or 1", lambda value: is_integer(value, 0) and value <= 1),
    "branch_sides": _INTEGERS,
}
# Keys of a stage: always, with a sampler, with a schedule. A key that would change nothing is refused, too.
_STAGE_KEYS = ("sampler", "optimizer", "learning_rate", "schedule", "loss", "precision", "families", "level_share")
_SAMPLER_KEYS = {"dense": ("crops", "points"), "device": ("crops", "points"), "patches": ("batch",)}


@dataclass(frozen=True)
class TrainingConfig:
    """A whole training: both stages and the networks.

    Attributes
    ----------
    name : str
    bnet, enet : TrainingSettings
        They share seed and validation stride.
    networks : EdgeNetworksConfig
    validation_crops : int
        Held-back crops that are scored after each stage.
    checkpoint_seconds : float
        Time between checkpoints.
    source : dict
        What the file said.
    """

    name: str
    bnet: TrainingSettings
    enet: TrainingSettings
    networks: EdgeNetworksConfig
    validation_crops: int
    checkpoint_seconds: float
    source: dict[str, Any]

    def with_seed(self, seed: int) -> TrainingConfig:
        """The same with another seed."""
        return replace(self, bnet=replace(self.bnet, seed=seed), enet=replace(self.enet, seed=seed))

    def with_start(self, start: str) -> TrainingConfig:
        """The same from the weights of a run or preset of that name."""
        return replace(self, bnet=replace(self.bnet, start=start), enet=replace(self.enet, start=start))

    def with_steps(self, steps: int) -> TrainingConfig:
        """The same with other lengths of both stages."""
        return replace(self, bnet=replace(self.bnet, steps=steps), enet=replace(self.enet, steps=steps))


def list_configs() -> list[str]:
    """Names of the configurations that come with the package, sorted."""
    return sorted(path.stem for path in CONFIGS_FOLDER.glob("*.toml"))


def read_config(config: str) -> TrainingConfig:
    """Read a configuration.

    Parameters
    ----------
    config : str
        Name of one of the package, or a TOML file.

    Returns
    -------
    TrainingConfig

    Raises
    ------
    ValueError
        If there is none, or a key is unknown, missing, of the wrong type or out of range; file and key are named.
    """
    path = CONFIGS_FOLDER / f"{config}.toml" if config in list_configs() else Path(config)
    tables = read_tables(path, list_configs(), config)
    with name_place(f"{path.name}: "):
        return _build_config(path.stem, tables)


def _build_config(name: str, tables: dict[str, Any]) -> TrainingConfig:
    check_keys(tables, (*_SHARED_KEYS, *_COMMON_RULES, *_STAGES, "networks"))
    given = {key: value for key, value in tables.items() if key in _COMMON_RULES}
    check_rules(given, _COMMON_RULES)
    shared = {key: tables[key] for key in _SHARED_KEYS if key in tables}
    check_rules(shared, RULES)
    networks = tables.get("networks", {})
    check_value("networks", networks, *TABLE)
    with name_place("networks."):
        check_keys(networks, _NETWORK_RULES)
        check_rules(networks, _NETWORK_RULES)
    stages = {}
    for stage in _STAGES:
        check_value(stage, tables.get(stage), *TABLE)
        with name_place(f"{stage}."):
            stages[stage] = _build_settings(stage, tables[stage], shared)
    # Keras is loaded last: what is wrong is said at once.
    from defocus_edge.networks.edge.networks import EdgeNetworksConfig

    of_networks: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in networks.items()
    }
    return TrainingConfig(
        name=name,
        bnet=stages["bnet"],
        enet=stages["enet"],
        networks=EdgeNetworksConfig(**of_networks),
        validation_crops=given.get("validation_crops", VALIDATION_CROPS),
        checkpoint_seconds=given.get("checkpoint_seconds", CHECKPOINT_SECONDS),
        source=tables,
    )


def _build_settings(stage: str, table: dict[str, Any], shared: dict[str, Any]) -> TrainingSettings:
    """Settings of a stage; epochs are counted in steps, a batch of patches in crops."""
    choices = {"sampler": "dense", "schedule": "stable-decay"} | table
    sampler_keys = _find_keys(_SAMPLER_KEYS, choices["sampler"])
    schedule_keys = _find_keys(SCHEDULE_KEYS, choices["schedule"])
    check_keys(table, {*_STAGE_KEYS, *LENGTH_KEYS, *sampler_keys, *schedule_keys})
    counted = {key for key in (*LENGTH_KEYS, "drop_epochs", "batch") if key in table}
    direct = {key: value for key, value in table.items() if key not in counted}
    return TrainingSettings(**{**_STAGES[stage], **shared, **direct, **count_steps(table), **_count_crops(table)})


def _count_crops(table: dict[str, Any]) -> dict[str, int]:
    """Crops that a batch of patches comes from, and patches of each."""
    if table.get("sampler") != "patches":
        return {}
    batch = table.get("batch", 0)
    check_rules({"batch": batch} if "batch" in table else {}, {"batch": COUNT})
    rule = f"a positive multiple of {PATCHES_PER_CROP}, the patches of one crop"
    check_value("batch", batch, rule, lambda value: value > 0 and value % PATCHES_PER_CROP == 0)
    return {"crops": batch // PATCHES_PER_CROP, "points": PATCHES_PER_CROP}


def _find_keys(keys: dict[str, tuple[str, ...]], choice: Any) -> Iterable[str]:
    """Keys that go with a choice; all of them if it is none, which the settings report."""
    known = isinstance(choice, str) and choice in keys
    return keys[choice] if known else [key for some in keys.values() for key in some]
