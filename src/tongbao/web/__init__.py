"""ASGI: faces (raw bytes to ``service`` and back), the banks' notices, the cashier, the simulated banks, the consoles.

Must never hold a rule: parse, call, render. Links are built from settings, never from a request (T63).
"""
