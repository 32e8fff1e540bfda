"""The console: a page for operators, served on loopback, that asks the API with the operator's own signature."""
