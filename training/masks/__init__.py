"""Training of the networks that detect blur."""
