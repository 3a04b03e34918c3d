"""Two nodes on one PostgreSQL."""
