"""A running search, and what a store holds, on a terminal."""
