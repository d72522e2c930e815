"""The numbers behind random crops, the same on the CPU and on the accelerator.

A pair of numbers is the range of an even distribution. No paper gives these numbers: they are ours. "Measured" says
where a measurement decided.
"""

from defocus_edge.blur_levels import MAX_RADIUS, MIN_RADIUS, RADIUS_STEP

#: Side in px of the part of a crop whose edge points are used; the picture reaches 20 px further on each side. Points
#: of one crop are much alike, so small crops of many pictures teach more in the same time than large crops of few: with
#: 24 px there are 3.5 times as many pictures per second as with 64 px (measured).
CROP_SIDE = 24
#: Largest distance in px, along each axis, from the centre of a crop to the rim of the object that it is to show. The
#: rim is mostly among the edge points of the crop, and sometimes near them.
RIM_DISTANCE = 18
#: Families of scenes and their shares. B-NET takes longest to learn uniform blur.
FAMILIES = {"uniform": 0.62, "gradual": 0.06, "composite": 0.22, "depth": 0.1}
#: Share of the uniform crops whose radius is that of a level; the others have any radius.
LEVEL_SHARE = 0.85
#: Radii in px, balanced over the levels; a few are larger than the last level and get its label.
RADII = (MIN_RADIUS - RADIUS_STEP, MAX_RADIUS + RADIUS_STEP / 2)
#: Largest radius in px of a crop, and the share of the radii between the last level and it.
LARGEST_RADIUS = 9.0
BEYOND_SHARE = 0.04
#: Share of the composites with one layer in focus, and the radius of that layer in px.
FOCUS_SHARE = 0.4
FOCUS_RADII = (0.0, 1.0)
#: The steepest ramp of blur, in px of radius per px.
STEEPEST_RAMP = 0.03
#: Factors by which sharp pictures are reduced first: pictures are never perfectly sharp as they come, and at 0.75 their
#: own blur still adds up to 0.2 px to the smallest radii (measured).
REDUCTIONS = (0.45, 0.75)
#: The same for hand-drawn masks without a picture, and for pictures with disparity, which are small.
SHAPE_REDUCTIONS = (0.35, 0.9)
DEPTH_REDUCTIONS = (0.6, 0.95)
#: Standard deviation of the logarithm of the exposure, and the factor of each colour channel.
EXPOSURE_DEVIATION = 0.25
COLOUR_CAST = (0.9, 1.1)
#: Share of the crops with noise. Its standard deviation in 8-bit steps is exponentially distributed with this mean and
#: this limit. Noise hides the faint detail that tells close radii apart, so half of the crops stay clean.
NOISE_SHARE = 0.45
MEAN_NOISE = 1.5
MOST_NOISE = 6.0
#: Share of the crops that were compressed as JPEG, and the range of the quality, both ends included.
JPEG_SHARE = 0.2
JPEG_QUALITIES = (70, 98)
#: Quantile of the gradients above which edges start, around that of `EdgeSettings`.
EDGE_QUANTILES = (0.4, 0.9)
