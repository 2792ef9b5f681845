"""One script for each schema; their numbers are their order."""
