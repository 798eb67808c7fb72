"""A study or task as one HTML file that needs nothing else. See README.md."""
