"""Model builders, and the pieces of search spaces that go with them."""
