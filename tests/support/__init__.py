"""What tests and benchmarks share: real databases, a real browser, and the account of what could not be tested here."""
