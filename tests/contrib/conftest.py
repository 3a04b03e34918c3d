"""The shop's database of the merchant's tests, for the adapters."""

from tests.merchant.conftest import sqlite_database

__all__ = ["sqlite_database"]
