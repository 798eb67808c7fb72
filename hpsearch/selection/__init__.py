"""Choosing a model honestly, once trials are ranked. See README.md."""
