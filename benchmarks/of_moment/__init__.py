"""What `dmlink bench moment` measures, a module for each part."""
