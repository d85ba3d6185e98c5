# The frame with less noise and its edges kept: every pixel becomes the mean of those whose surroundings look
# alike (non-local means: Buades, Coll, Morel, CVPR 2, 60 (2005)). The square root makes the noise of counted
# electrons the same everywhere (Anscombe, Biometrika 35, 246 (1948)).
# It invents no detail but can wipe out faint ones: measure in the frames themselves. Large frames are slow.
import numpy as np
from skimage.restoration import denoise_nl_means

strength: (0.1, 3.0, 0.1) = 0.8  # 1: what looks alike within the noise is averaged
patch: (3, 11, 2) = 5  # px, the surroundings that are compared
search: (1, 15) = 5  # px, how far around it is looked for what is alike

good = np.isfinite(frame)
image = np.where(good, frame, np.median(frame[good]) if good.any() else 0).astype(np.float32)
if not good.all():
    print("%d pixels are not numbers; they count as the median of the others." % (~good).sum())
low = min(0, image.min())
root = np.sqrt(image - low + 0.375)
steps = (root[1:, 1:] - root[:-1, :-1])[::2, ::2]  # of neighbours, which differ by their noise
noise = 1.48 * np.median(np.abs(steps - np.median(steps))) / np.sqrt(2) if steps.size else 0
if noise > 0:
    root = denoise_nl_means(root, patch, search, strength * noise, sigma=noise, preserve_range=True)
elif good.any():
    print("Left as it is: a frame without noise, or almost without electrons.")
result = root**2 - (0.125 if noise > 0 else 0.375) + low  # so that the mean stays
Image(result, info.scale, (info.y.origin, info.x.origin), info.unit) if good.any() else None
