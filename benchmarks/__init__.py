"""Measurements: the platform beside its rivals in one run. They print ratios and assert nothing.

Must never be imported by the package or its tests, and never run against books that anybody needs.
"""
