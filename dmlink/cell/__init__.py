"""Live cell: runs a program on every frame of a link."""

from dmlink.cell.live_cell import LiveCell, live_cells, read_script

__all__ = ["LiveCell", "live_cells", "read_script"]
