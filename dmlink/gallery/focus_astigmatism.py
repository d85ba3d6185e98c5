# Defocus and astigmatism from the Thon rings of an amorphous film; "match" is 1 if the rings agree perfectly
# with theory. Crystals and drift mislead it, and a wrong Cs makes the defocus wrong, especially overfocus.
#
# Method. The spectrum of the film, in 18 sectors, is noise + envelope x sin^2 chi, where chi = pi lambda df
# q^2 - pi/2 Cs lambda^3 q^4 is the phase shift by the lens of each spatial frequency q at defocus df (Rohou,
# Grigorieff, J. Struct. Biol. 192, 216 (2015)). Many defocus values are tried on the mean of all sectors;
# the four that fit best are refined by least squares, together with astigmatism, noise and envelope. The
# direction is that of the largest defocus, anticlockwise from horizontal.
import numpy as np
from scipy import fft, ndimage, optimize

kilovolt: (0, 1000) = 0  # kV; 0: from the microscope, or 300 if it reports none
Cs: (0.0, 5.0, 0.01) = 1.0  # mm, spherical aberration of the objective lens
largest: (20, 5000, 10) = 300  # nm, largest defocus tried, over and under; the smallest is 1/20 of it
coarse: (0.1, 5.0, 0.1) = None  # 1/nm, low end of the spectrum used; auto: 0.18 of the high end
fine: (0.5, 20.0, 0.1) = None  # 1/nm, high end, where rings fade; auto: 4.5, or what pixels allow

NM = {"nm": 1, "um": 1e3, "\u00b5m": 1e3, "A": 0.1, "pm": 1e-3}  # nm in each unit
SECTORS = 18  # of half a turn: ten degrees each
MOST_RINGS, FEWEST_RINGS = 400, 16  # rings into which the spectrum is divided
FINEST = 4.5  # 1/nm: few films and cameras show rings beyond
SAMPLED = 0.45  # of the sampling, 1/px; near half of it there is little but noise
BEGINS = 0.18  # of the high end; below it, the spectrum shows the film's thickness rather than the lens
WELL = 0.4  # match from which a defocus is reported
MM = 1e6  # nm

pixels = [abs(axis.scale) * NM.get(axis.unit, 0) for axis in (info.y, info.x)]  # nm
pixel = max(pixels) if min(pixels) else 0  # the larger one limits the spectrum; 0: unknown
end = fine or (min(FINEST, SAMPLED / pixel) if pixel else FINEST)
begin = coarse or BEGINS * end
rings = int(np.clip((end - begin) * min(np.multiply(frame.shape, pixels)), 0, MOST_RINGS))

high_tension = kilovolt * 1e3 or info.tags.get("high_tension") or 3e5  # V
wavelength = 1.22643 / np.sqrt(high_tension + 0.978476e-6 * high_tension**2)  # nm, of a relativistic electron


def boxes():
    """Return the box of each pixel of the transform, sector by ring; the last box is the rest."""
    fy, fx = np.meshgrid(*map(fft.fftfreq, frame.shape, pixels), indexing="ij")
    ring = (np.hypot(fy, fx) - begin) / (end - begin) * rings
    turn = np.arctan2(-fy, fx) / np.pi % 1  # of half a turn
    box = np.int32(turn * SECTORS) % SECTORS * rings + np.int32(ring)
    return np.where(ring // rings == 0, box, SECTORS * rings).ravel()


def fitted(seen, sure):
    """Return the best-fitting defocus, astigmatism and so on, and the quality of the fit, up to 1.

    `seen` is ln(power), (sector, ring); `sure` is the weight of each box in the fit.
    """
    q = np.linspace(begin, end, 2 * rings + 1)[1::2]  # 1/nm, in the middle of each ring
    twice = 2 * np.pi / SECTORS * (np.arange(SECTORS) + 0.5)  # the angle of each sector, doubled
    sides = [twice**0, np.cos(twice), np.sin(twice)]  # nm of defocus caused by each parameter in a sector
    slow = np.vander(q / q.mean() - 1, 5)  # smooth curves: a polynomial of the fourth degree

    def chi(defocus):
        return np.pi * wavelength * q**2 * (defocus[:, None] - Cs * (MM / 2) * (wavelength * q) ** 2)

    def model(p):
        noise, envelope = np.exp(p[3]), np.exp(slow[:, 1:] @ p[4:])
        return np.log(noise + envelope * np.sin(chi(p[:3] @ sides)) ** 2)

    def flat(curves):
        """Return curves minus their smooth part."""
        followed = np.linalg.lstsq(slow, curves.T, rcond=None)[0]
        return curves - (slow @ followed).T

    def off(p):
        return (model(p) - seen).ravel() * sure

    tried = np.linspace(-largest, largest, 2 * int(2 + largest * 16 * wavelength * end**2))  # 1/16 of a ring
    likeness = flat(-np.cos(2 * chi(tried))) @ flat(seen).sum(axis=0)  # sin^2 chi = (1 - cos 2 chi) / 2
    likeness = likeness * (np.abs(tried) >= largest / 20)
    is_peak = likeness == ndimage.maximum_filter1d(likeness, 3)
    best = tried[np.argsort(-likeness * is_peak)[:4]]
    low = seen.mean() - 2  # initial noise: e^2 times below the mean
    fits = []
    for defocus in best:
        first = [defocus, 0, 0, low, 0, 0, 0, low + 2]
        fits.append(optimize.leastsq(off, first, full_output=1, maxfev=250)[0])
    p = min(fits, key=lambda p: sum(off(p) ** 2))
    return p, np.corrcoef(flat(seen).flat, flat(model(p)).flat)[0, 1]


result = None
if rings < FEWEST_RINGS or end * pixel > 0.5 or not np.isfinite(frame).all() or np.ptp(frame) == 0:
    print("No result: needs an image in nm, finite, not uniform, with enough pixels for this range.")
else:
    settings = begin, end, rings, *pixels
    if state.get("settings") != settings:
        box = boxes()
        n = np.bincount(box, minlength=SECTORS * rings + 1)[:-1]  # pixels
        sure = np.sqrt(n)  # a mean of n pixels is off by 1 / sqrt(n); an empty box counts for nothing
        state.update(settings=settings, box=box, sure=sure)
    fade = np.outer(*map(np.hanning, frame.shape))
    power = np.abs(fft.fft2((frame - frame.mean()) * fade)).ravel() ** 2
    sums = np.bincount(state["box"], power, SECTORS * rings + 1)[:-1].reshape(SECTORS, rings)
    n = (state["sure"] ** 2).reshape(SECTORS, rings)
    whole_ring = sums.sum(axis=0) / np.maximum(n.sum(axis=0), 1)
    seen = np.log(np.where(n > 0, sums / np.maximum(n, 1), whole_ring) + 1e-9)
    (defocus, cosine, sine, *_), match = fitted(seen, state["sure"])

    result = {"match": Scalar(match)}
    if match > WELL and largest / 20 < abs(defocus) < largest:
        astigmatism = 2 * np.hypot(cosine, sine)  # from the smallest to the largest defocus
        direction = np.degrees(np.arctan2(sine, cosine)) / 2 % 180
        result["defocus"] = Scalar({"defocus": defocus, "astigmatism": astigmatism}, "nm")
        result["direction"] = Scalar(direction, "degrees")  # anticlockwise from horizontal
    else:
        tried = largest / 20, largest
        print("No defocus of %g to %g nm fits the rings: change `largest`, or use an amorphous film." % tried)
result
