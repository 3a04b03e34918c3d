"""HTTP as values, the vocabulary every protocol shares, the protocol contract, and the tools its codecs are made of.

Must never open a socket, read a clock or know a protocol by name.
"""
