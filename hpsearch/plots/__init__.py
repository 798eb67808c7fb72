"""The numbers of results/, drawn by matplotlib. See README.md."""
