"""A first study for a CSV file: `look` says what its columns are, `write` writes the study.

What a column is, is guessed once and written into the study, where it can be read and changed;
running the study guesses nothing. The study has its space in itself: a folder `spaces` of the
user's would hide the package of that name.
"""
