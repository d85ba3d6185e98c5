"""A DigitalMicrograph with a camera for machines without GMS: strict where the real one is known to be."""

from dmlink.simulator.microscope import Microscope

__all__ = ["Microscope"]
