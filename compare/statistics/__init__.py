"""From the samples of the rounds to summaries, intervals and verdicts: pure, and the same for the same samples."""
