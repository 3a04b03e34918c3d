"""The only room with windows: real clock, entropy, sockets, mail, environment, log, files and locks.

Everybody else takes what is built here as an argument (``World``). Must never know money, a protocol or a page,
and must never be imported by the simulation.
"""
