"""The demonstration shop, over real SQLite and a platform that speaks the real protocol."""
