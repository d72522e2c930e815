"""Networks that give each pixel a probability of being blurred."""
