"""Real client libraries of others, from their own packages, against the sandbox: they must work unchanged."""
