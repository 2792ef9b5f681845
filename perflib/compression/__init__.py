"""Making a model cheaper: stages that turn one artifact into another, and recipes that chain them."""
