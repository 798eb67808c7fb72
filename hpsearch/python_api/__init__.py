"""What is called from Python: a study runs, a store is opened, several studies share a night."""
