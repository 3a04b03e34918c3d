"""Trades, payments, bank instructions, parties, fees: values and state tables. Pure: no clock, no chance, no SQL, no
HTTP.

Must never see a protocol or the ledger's accounts: ``service`` joins them.
"""
