"""Rows that are read when they are needed: what `Data(x=)` takes beside arrays in memory."""
