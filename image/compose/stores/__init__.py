"""Images that stand in an engine's own store or in a registry: read from there, and put there."""
