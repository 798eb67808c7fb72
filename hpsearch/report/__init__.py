"""What people look at: lines while a search runs, tables afterwards."""
