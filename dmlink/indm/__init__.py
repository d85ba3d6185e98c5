"""Everything that runs inside DigitalMicrograph.

Python 3.7 syntax, standard library and NumPy only; it imports nothing from the rest of dmlink.
"""
