"""The camera, used directly on request: it acquires for the companion, and every frame is complete."""

from __future__ import annotations

import time

import DigitalMicrograph as DM

from dmlink.indm.companion.view import View
from dmlink.indm.gms import delete_image

PATIENCE = 2.0  # exposures to wait for a frame: within less than one, none may ever arrive


class Camera:
    """The active camera, acquiring for the companion: frames are complete and arrive without a listener."""

    def __init__(self, exposure: float, binning: int, processing: int) -> None:
        self._patience = PATIENCE * exposure
        self._camera = DM.GetActiveCamera()
        self._image = self._camera.CreateImageForAcquire(binning, binning, processing)
        self.name = "dmlink camera"
        self._image.SetName(self.name)
        self._image.ShowImage()
        try:
            self._camera.StartContinuousAcquisition(exposure, binning, binning, processing)
        except Exception:
            delete_image(self._image)
            raise

    def wait(self, view: View | None) -> None:
        """Wait for a frame and take it."""
        if self._camera.GetFrameInContinuousMode(self._image, self._patience) and view:
            view.last_event = time.monotonic()
            view.observe(self._image)

    def stop(self) -> None:
        """Give the camera back to the user."""
        self._camera.StopContinuousAcquisition()
        self._image = None
