"""The use cases: the only room that decides and posts entries. It joins money and protocols, which never see each
other.

Must never await inside a decision, touch the network inside a transaction, or run SQL of its own.
"""
