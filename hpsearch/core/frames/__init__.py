"""pandas frames as arrays of numbers, and back, without any loss."""
