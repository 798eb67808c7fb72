"""Data sets that lie in files, as rows that are read when needed."""
