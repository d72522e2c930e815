"""Blur maps and masks in napari: `stacks` does the work slice by slice, `widgets` are what napari shows."""
