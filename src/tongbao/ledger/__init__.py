"""Double entry: accounts by name, postings that balance by construction, entries with a key and a chain. Pure.

Must never read a clock, know a trade's rules, or run SQL.
"""
