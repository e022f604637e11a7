"""Readers for `pillion env lint`: files of every kind as the programs of `image/environ/lint`, each with its place.

Not in `image/environ`, which must not need a YAML parser.
"""
