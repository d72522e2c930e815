"""From a picture to blur at its edge points, and what an estimate is."""
