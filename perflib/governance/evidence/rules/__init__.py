"""One small function for each thing that a pack promises; `book` has them in their order."""
