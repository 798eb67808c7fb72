"""A study, and one run of it. See README.md."""
