"""What `dmlink bench follow` measures, a module for each part."""
