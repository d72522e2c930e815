"""From a picture to the blur at its edge points, and the estimate as a result."""
