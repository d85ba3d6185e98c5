"""Panels: what a notebook shows of a link, a cell or a replay."""
