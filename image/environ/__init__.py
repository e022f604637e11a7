"""Who sees which environment variable: the split, its catalogue, conflicts and explanations (standard library only)."""
