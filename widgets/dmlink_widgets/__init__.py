"""The notebook's side of dmlink: live view, cell panels and the %%live magic."""
