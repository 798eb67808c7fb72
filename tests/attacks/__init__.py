"""What tries to make hpsearch give wrong results in silence, destroy something, or crash.

`python -m tests.attacks` runs everything; README.md says how it is built and what it found.
"""
