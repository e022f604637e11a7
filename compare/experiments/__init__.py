"""What happens to a pair under load when something goes wrong or is changed: one file each.

`plan_experiments` and `run_experiments` (all.py) are the doors; each gives `Outcome`s (outcome.py).
"""
