"""Adapters for web frameworks: a framework's request into ``wire.Request`` byte by byte, and our answer back.

Must hold no rule: each file turns values around and calls ``tongbao.merchant``.
"""
