"""What all trainings share: configuration, steps, checkpoints, logs, tables, optimizers."""
