"""A comparison as a person reads it, and as a machine does."""
