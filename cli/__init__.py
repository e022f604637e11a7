"""The front door: one file a command; the only room that prints or exits."""
