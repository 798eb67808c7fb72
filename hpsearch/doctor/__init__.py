"""What is wrong with a search, on which figure that rests, and the way out."""
