"""Where a merchant agrees to a batch of refunds or payouts that his own browser carried to a face.

Must never move money itself (the rules do), and must not stand open in production: until merchants' people sign in, a
link of half an hour is all that tells who agrees.
"""
