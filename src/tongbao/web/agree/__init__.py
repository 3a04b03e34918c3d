"""Where a merchant's operators agree to a batch of refunds or payouts that a browser carried to a face.

Must never move money itself, nor decide who may agree, how many must, or whether two are one person: the rules do.
"""
