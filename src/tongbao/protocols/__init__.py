"""One folder per wire protocol, found by listing, never registered.

A folder is two halves of pure functions over values: it must never open a socket, read a clock, draw a random number,
or import another folder; and no room outside may know a wire name.
"""
