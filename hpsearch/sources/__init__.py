"""Data sets that lie in files, and series, as rows that are read when needed."""
