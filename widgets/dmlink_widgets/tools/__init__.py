"""Tools: what is drawn and measured on the live view: ROIs, masks, lines, rulers, spectra, statistics."""
