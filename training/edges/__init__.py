"""Training of B-NET and E-NET."""
