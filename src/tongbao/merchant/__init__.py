"""The merchant's side: clients, safe acceptance of notifications and returns, the order book in the shop's database.

Must never see the platform's rooms (ledger, trade, store, service), never decide anything by a browser's return or an
unsigned word, never touch the network inside a transaction, and never say the success word before the commit.
"""
