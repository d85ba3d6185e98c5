"""Measuring: lengths, profiles, spacings and statistics of an image, from shapes drawn over it.

Points are (y, x) in pixels from the upper left corner of the image: the centre of its first pixel is at
(0.5, 0.5).
"""
