"""Long runs with figures: seeded worlds, kills, forgeries. Each writes what it did to a journal and can be resumed."""
