"""The simulated banks and outlets: parties of their own with a book of their own, reached over HTTP only.

Must never run in production, read the platform's books, or take a real card number. All cards are fictitious: their
numbers begin with 620000 (``TEST_BIN``), which no bank issues.
"""
