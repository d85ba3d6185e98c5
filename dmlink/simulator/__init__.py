"""Simulator: DigitalMicrograph with a camera, as strict as GMS is known to be."""

from dmlink.simulator.microscope import Microscope

__all__ = ["Microscope"]
