# Radial profile of a ring diffraction pattern, each peak marked with its d-spacing. Single-crystal spots or
# a wide beam stop mislead the search for centre and ellipse; the centre must lie in the middle half of the
# ROI.
#
# Method. The centre is where the pattern best matches itself rotated by 180 degrees. Centre and elliptical
# distortion are then refined from the first and second harmonics that they cause in the rings, sampled over
# angle and radius (Mitchell, Van den Berg, Ultramicroscopy 160, 140 (2016)). A peak of the mean over all
# angles counts as a ring if it stands out from the curve's own standard error.
import numpy as np
from scipy import fft, ndimage, signal

ellipse: bool = True  # correct the elliptical distortion
hide: (0, 50) = None  # %, part of the curve hidden at its left end; auto: the direct beam
weakest: (2.0, 50.0, 0.5) = 6.0  # least prominence of a peak, in standard errors of the curve
polar: bool = False  # also show the pattern in polar coordinates, where rings are straight lines

SMALLEST = 16  # px; a smaller ROI has no usable rings
STEP = 0.5  # px, between samples along a radius
ANGLES = np.radians(np.arange(360))[:, None]  # anticlockwise from horizontal
SMOOTHING = (8, 8, 4, 4, 2, 2)  # px, from a coarse to a fine search
FARTHEST = 3  # px that the centre may move in one step
LARGEST = 0.1  # of the radius; no microscope distorts more
ALIKE = 0.3  # of the variance, shared by both halves: 0.4 or more in patterns, less in most images
BEAM = 0.1  # fraction of its height at which the direct beam ends


def centre_of(image):
    """Return the point (y, x) in px of best 180-degree symmetry, and the similarity, up to 1."""
    root = np.sqrt(image - float(image.min()))  # so that weak rings count as much as the bright beam
    root = root - root.mean()
    likeness = fft.irfft2(fft.rfft2(root) ** 2, root.shape)  # correlation of the two, over twice the centre
    twice = np.unravel_index(likeness.argmax(), root.shape)
    centre = []
    for place, n in zip(twice, root.shape):
        turns = n * (place < n / 2)  # ambiguous by one side of the image: take the middle half
        centre.append((place + turns) / 2)
    return centre, likeness.max() / np.square(root).sum()


def sampled(image, radius, y, x, cosine, sine):
    """Return the image over angle and radius, (360, n), along ellipses around (y, x)."""
    longer = radius * (1 + cosine * np.cos(2 * ANGLES) + sine * np.sin(2 * ANGLES))
    places = y - longer * np.sin(ANGLES), x + longer * np.cos(ANGLES)
    return ndimage.map_coordinates(image, places, float, 1)


def end_of_beam(curve):
    """Return the first sample outside the direct beam: where it has fallen, or rises again."""
    fallen = np.flatnonzero(curve < BEAM * curve[0])
    rises = np.flatnonzero(np.diff(curve) >= 0)
    return min([len(curve) // 2, *fallen[:1], *rises[:1]])


result = None
if not np.isfinite(frame).all() or np.ptp(frame) == 0 or min(frame.shape) < SMALLEST:
    print("No result: some pixels are NaN or infinite, or all are equal, or the ROI is below 16 pixels.")
else:
    scales = info.y.scale, info.x.scale, info.unit
    if "geometry" not in state or state["scales"] != scales:  # the first frame, or another camera length
        centre, alike = centre_of(frame)
        to_edges = [*centre, *(n - 1 - place for place, n in zip(centre, frame.shape))]
        reach = max(8, min(to_edges) - FARTHEST)
        radius = np.arange(0, reach, STEP)  # px
        curve = sampled(frame, radius, *centre, 0, 0).mean(axis=0)
        smooth = ndimage.gaussian_filter1d(curve, 2 / STEP)
        geometry = [*centre, 0, 0]  # y, x of the centre in px, and the ellipse as cosine and sine
        state.update(geometry=geometry, radius=radius, alike=alike, beam=end_of_beam(smooth))
        state["scales"] = scales

    radius = state["radius"]
    first = state["beam"] if hide is None else len(radius) * hide // 100
    beyond_beam = radius >= radius[first]
    for width in SMOOTHING:  # each frame continues from the last
        y, x, cosine, sine = state["geometry"]
        rings = sampled(frame, radius, y, x, cosine, sine)
        smooth = ndimage.gaussian_filter1d(rings, width / STEP, axis=1)
        mean = smooth.mean(axis=0)
        slope = np.gradient(mean, radius) * beyond_beam + 1e-9  # counts/px; never zero
        # a ring that is off by d(angle) px differs from the mean by -slope x d(angle): least squares over
        # all radii; 180 = 360 / 2 makes amplitudes of the sums over 360 angles
        first_harmonic, second_harmonic = fft.rfft(smooth - mean, axis=0)[1:3] * slope / -180
        shift = first_harmonic.sum() / (slope**2).sum()  # px
        bend = (second_harmonic * radius).sum() / ((slope * radius) ** 2).sum()  # of the radius
        moved = np.add(state["geometry"], [shift.imag, shift.real, bend.real, -bend.imag])
        most = LARGEST * ellipse
        lowest = [y - FARTHEST, x - FARTHEST, -most, -most]
        highest = [y + FARTHEST, x + FARTHEST, most, most]
        state["geometry"] = np.clip(moved, lowest, highest)

    error = rings.std(axis=0)[first:] / np.sqrt(len(ANGLES))  # of the mean over all angles
    curve = ndimage.gaussian_filter1d(rings.mean(axis=0), 1.5)[first:]
    peaks = signal.find_peaks(curve, prominence=weakest * error)[0]
    ring_radius = radius[first:][peaks]  # px

    unit = info.unit or "px"
    scale = abs(info.scale or 1)
    q = ring_radius * scale
    aside = ring_radius * 0.7  # marks sit on the rings, at the upper right: 0.7 = cos 45 degrees
    spacing = "d (%s)" % unit[2:] if unit.startswith("1/") else "d = 1/q"
    table = {"radius (px)": ring_radius, "q (%s)" % unit: q, spacing: 1 / q}
    result = {
        "curve": Profile(curve, scale * STEP, first * scale * STEP, unit, "counts"),
        "rings": Table(table),
        "marks": Points(np.c_[y - aside, x + aside], labels=["%.3f" % d for d in 1 / q]),
        "distortion": Scalar(100 * np.hypot(cosine, sine), "%"),
    }
    if polar:
        result["polar"] = Image(rings)
    if hide is None and state["alike"] < ALIKE:
        print("No rings: is this a diffraction pattern? Its halves differ. If it is one, set hide.")
    elif not len(peaks):
        print("No rings: is this a diffraction pattern? If they are faint, lower weakest.")
result
