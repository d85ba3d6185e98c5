"""The simulated DigitalMicrograph: images, windows, events, files, DM-script, and its Python in `python`."""
