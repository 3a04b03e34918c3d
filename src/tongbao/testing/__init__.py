"""For other projects' tests: a sandbox in this process, and a pytest plugin that hands it out.

Must never be imported by the package's own rooms, and never needs the network: everything listens on loopback.
"""
