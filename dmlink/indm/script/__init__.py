"""Script: everything that an exported script needs to run its cell in DigitalMicrograph.

`dmlink.export` copies whole files of this folder into users' scripts, with those of `dmlink.indm` that they
use. Their docstrings become headings.
"""
