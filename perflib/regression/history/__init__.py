"""What past runs have measured: one store on SQLite or PostgreSQL, checked when it is read."""
