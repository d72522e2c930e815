"""Named weights and the networks they fill."""
