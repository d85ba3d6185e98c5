"""Everything that runs inside DigitalMicrograph.

Python 3.7 syntax, standard library and NumPy only; imports nothing of the rest of dmlink.
"""
