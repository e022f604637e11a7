"""What runs a layout: `process` needs no containers."""
