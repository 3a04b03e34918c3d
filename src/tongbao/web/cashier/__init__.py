"""The cashier and the buyer's own account: pages on which a person pays, confirms receipt, and goes home to the shop.

Must never hold a rule: a page parses a form, calls ``tongbao.service``, and shows what came of it.
"""
