"""What the claims rest on beside the rounds and the experiments: gathered once in a run, one file a kind."""
