"""The buyer's wallet on a phone: payment codes to show, codes to scan, requests to agree to, consent to be known.

Must never hold a rule: a page parses a form, calls ``tongbao.service``, and shows what came of it.
"""
