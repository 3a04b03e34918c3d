"""The world of trust: shops speak WeChat Pay v3 and move from platform certificates to the public key under traffic.

The platform, its workers, banks, buyers, network and nemesis are those of the other seeded worlds. New are shops with
several processes, the change of trust with a moment of its own for each of them, a wire that changes bytes, and a
register of everything the platform ever signed, against which each verification at a shop is held.
"""
