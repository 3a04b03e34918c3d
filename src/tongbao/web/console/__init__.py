"""The operator's and developer's view: trades, the seven steps of one order, notifications, refusals, mails.

Must never change money: its only acts are sending a notification again and, in a demonstration, tampering with one.
"""

from tongbao.web.console.app import console_app

__all__ = ["console_app"]
