"""A first study for a CSV file: describe its columns, and write the text of a study.

What a column is is guessed once and written into the study, where it can be read and changed;
running the study guesses nothing. The study contains its own space, because a folder `spaces` of
the user's would hide the package of that name.
"""
