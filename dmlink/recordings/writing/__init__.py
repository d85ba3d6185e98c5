"""Writing: recordings and results as OME-Zarr, and conversion to other formats."""
