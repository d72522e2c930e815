"""B-NET and E-NET: the networks, their dense evaluation, and weights of others."""
