"""Sharp pictures in, defocused pictures with exact radius maps out.

``python -m synth uniform --sources PHOTOS --out DATA --count 1000 --seed 0 --workers 4`` fills DATA with

- ``pictures/NNNNNN.png``: 8-bit sRGB, blurred in linear light, then noise, rounding, and JPEG for some;
- ``radius/NNNNNN.tif``: float32, blur radius in px of the nearest surface, 0 in focus;
- ``depth_edges/NNNNNN.png``: 255 on the nearer side of a boundary at which the radius jumps by at least 0.5 px; the
  radius there tells how far the nearer side spills over the other;
- ``masks/NNNNNN.png``: 255 = blurred by more than 0.75 px (``--mask-radius``);
- ``manifest.jsonl``: a line for each sample, in order, with all parameters and its sources by folder number and path;
- ``run.json``: what all samples depend on. The same command continues a run that was stopped; another one is refused.

``dual`` and ``coded`` write other files, whose radii are positive in front of the focus and negative behind it:

- ``left/NNNNNN.png`` and ``right/NNNNNN.png``: the views of a dual-pixel sensor (dual);
- ``sharp/NNNNNN.png``: the scene without blur and noise (dual);
- ``pictures/NNNNNN.png``: through a mask in the aperture, whose cells are in the manifest (coded);
- ``signed_radius/NNNNNN.tif``: float32, signed blur radius in px of the nearest surface (both).

`readers` lists the sources, `recipes` draws what is random, `rendering` makes a sample with `scenes` and `camera`,
`signed_rendering` one that tells the side of the focus with `apertures`, `folder` writes it, `generator` runs it all.
"""
