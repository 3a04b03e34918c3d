"""Tongbao: third-party payment, both ends of the wire.

What a merchant imports comes from here, lazily: ``tongbao.merchant`` and the names it exports.
This module must never import anything when it is itself imported (see the decision record on lazy import).
"""

__version__ = "0.1.0"
