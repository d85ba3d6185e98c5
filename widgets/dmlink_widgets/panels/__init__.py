"""Panels: a link, a cell or a replay as shown in a notebook."""
