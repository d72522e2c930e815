"""Training of the small networks that some baselines need, see `training.baselines.patch_networks`."""
