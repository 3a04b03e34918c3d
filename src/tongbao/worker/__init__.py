"""Periodic duties: deliver notifications, act on due trades, ask banks about open instructions.

Must never decide: a duty finds what is due, sends where sending is needed, and reports by a command.
"""
