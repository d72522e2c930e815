"""From sparse blur at edges to a blur map."""
