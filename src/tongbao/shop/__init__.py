"""The demonstration shop: an ordinary merchant, with goods, carts, orders, and a desk for its keeper.

Must use nothing but what any merchant has (``merchant``, ``contrib``, ``wire``, ``kernel``): never a room of the
platform, never a browser's word for a payment. Its desk has no login, so it must never start in production.
"""
