"""Values without I/O: money, time, identifiers, errors, and the Clock and Entropy ports.

Must never read a clock, draw randomness, open anything, or import another room.
"""
