"""Trial runs: which variables a program reads, seen from within its own interpreter (`pillion env learn`)."""
