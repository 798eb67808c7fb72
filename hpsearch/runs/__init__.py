"""A study, and one run of it. README.md follows one trial through the files."""
