"""The numbers behind random crops, the same on the CPU and on the accelerator.

A pair is the range of an even distribution.
"""

from defocus_edge.blur_levels import MAX_RADIUS, MIN_RADIUS, RADIUS_STEP

#: Side in px of the part of a crop whose edge points are used; the picture reaches 20 px further. Points of one crop
#: are much alike: small crops of many pictures teach more in the same time than large ones of few (with 64 px it is a
#: quarter of the pictures per second).
CROP_SIDE = 24
#: A crop that is to show the rim of an object has its centre at most this many px from it, along each axis: the rim is
#: mostly among its edge points, and sometimes near them.
RIM_DISTANCE = 18
#: Families of scenes and how often they occur. Uniform blur is what B-NET is worst at for longest.
FAMILIES = {"uniform": 0.62, "gradual": 0.06, "composite": 0.22, "depth": 0.1}
#: How many of the uniform crops have the radius of a level; the others have any.
LEVEL_SHARE = 0.85
#: Radii in px, balanced over the levels; a few lie beyond the last one and are labelled with it.
RADII = (MIN_RADIUS - RADIUS_STEP, MAX_RADIUS + RADIUS_STEP / 2)
LARGEST_RADIUS = 9.0
BEYOND_SHARE = 0.04
#: How many of the composites have one layer in focus, and its radius in px.
FOCUS_SHARE = 0.4
FOCUS_RADII = (0.0, 1.0)
#: The steepest ramp of blur, px of radius per px.
STEEPEST_RAMP = 0.03
#: Pictures are reduced by a factor of this range first: they are never perfectly sharp as they come, and at 0.75 their
#: own blur still adds up to 0.2 px to the smallest radii.
REDUCTIONS = (0.45, 0.75)
#: Logarithm of the exposure: standard deviation. Colour cast: factor of each channel.
EXPOSURE_DEVIATION = 0.25
COLOUR_CAST = (0.9, 1.1)
#: Noise: how many crops have some, and its standard deviation in 8-bit steps, exponentially distributed up to a limit.
#: Half of them stay clean: the faint detail that tells close radii apart is lost in noise and must be learnt, too.
NOISE_SHARE = 0.45
MEAN_NOISE = 1.5
MOST_NOISE = 6.0
#: JPEG: how many crops were compressed, and the quality, both ends included.
JPEG_SHARE = 0.2
JPEG_QUALITIES = (70, 98)
#: Quantile of the gradients above which edges start, around that of `EdgeSettings`.
EDGE_QUANTILES = (0.4, 0.9)
