"""A Gaussian process over points and epochs, which `Auto` asks. See ../README.md."""
