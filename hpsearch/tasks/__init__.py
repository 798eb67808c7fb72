"""Known tasks, each a module with `task()`. Their data is loaded when a search first needs it."""
