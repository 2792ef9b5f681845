"""The way from any older schema to the newest, as alembic's scripts."""
