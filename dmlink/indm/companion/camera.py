"""The camera, taken from the user on request: it acquires for us, and every frame is complete."""

from __future__ import annotations

import time

import DigitalMicrograph as DM

from dmlink.indm.companion.view import View

PATIENCE = 2.0  # exposures for which a frame is waited for: within less than one none may ever come


class Camera:
    """The active camera, acquiring for us: frames are complete, and come without a listener."""

    def __init__(self, exposure: float, binning: int, processing: int) -> None:
        self._patience = PATIENCE * exposure
        self._camera = DM.GetActiveCamera()
        self._image = self._camera.CreateImageForAcquire(binning, binning, processing)
        self.name = "dmlink camera"
        self._image.SetName(self.name)
        self._image.ShowImage()
        self._camera.StartContinuousAcquisition(exposure, binning, binning, processing)

    def wait(self, view: View | None) -> None:
        """Wait for a frame, and take it."""
        if self._camera.GetFrameInContinuousMode(self._image, self._patience) and view:
            view.last_event = time.monotonic()
            view.observe(self._image)

    def stop(self) -> None:
        """Let the user have the camera again."""
        self._camera.StopContinuousAcquisition()
        self._image = None
