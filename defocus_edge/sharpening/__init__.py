"""From a picture and its blur map to a sharper picture."""
