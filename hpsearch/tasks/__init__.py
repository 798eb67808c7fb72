"""Known tasks, each a module with `task()`. Their data is loaded when a search first needs it.

With `HPSEARCH_DATA=stand-in` each is a small task that needs no file; see `source.task`.
"""
