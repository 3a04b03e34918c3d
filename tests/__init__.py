"""The tests: one folder per room, and the helpers they share in ``tests.support``."""
