"""B-NET and E-NET: the networks, their evaluation at edge points, and the authors' weights."""
