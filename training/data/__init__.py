"""Pictures, scenes and labels that networks are trained and scored on."""
