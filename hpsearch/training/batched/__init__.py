"""Many fits as one compiled program, on JAX. See ../README.md."""
