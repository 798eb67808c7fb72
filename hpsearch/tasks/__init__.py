"""Known tasks, each a module with `task()`. Their data is loaded when a search first needs it.

With `HPSEARCH_DATA=stand-in` each becomes a small task that needs no file; see `source.make_task`.
"""
