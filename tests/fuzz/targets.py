"""All fuzz targets, by name."""

from tests.fuzz import data_targets, picture_targets, preset_targets

TARGETS = {
    target.name: target for module in (picture_targets, preset_targets, data_targets) for target in module.TARGETS
}
