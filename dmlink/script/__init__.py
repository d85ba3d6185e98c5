"""Script: a program as a stand-alone script for DigitalMicrograph, and back."""

from dmlink.script.exporter import export

__all__ = ["export"]
