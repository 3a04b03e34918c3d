"""Protocols' server ends mounted on the platform: raw bytes to ``service`` and back, and the banks' notices.

Must never know a protocol by name, decide anything, or show a trace, a key or a signature to anybody.
"""
