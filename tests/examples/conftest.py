"""The examples are scripts, which are run by a test, not imported."""

collect_ignore_glob = ["kerastuner/*/*.py"]
