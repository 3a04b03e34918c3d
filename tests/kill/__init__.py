"""Processes that are killed under load: what was acknowledged stands, once."""
