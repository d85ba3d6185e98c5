"""Script: what an exported script needs to run its cell in DigitalMicrograph.

`dmlink.export` writes whole files of this folder into people's scripts, with those of `dmlink.indm` that they
use. Their docstrings become the headings.
"""
