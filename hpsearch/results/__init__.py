"""A store as frames, and every number that a figure shows. No plotting library is loaded here."""
