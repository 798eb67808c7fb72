"""What people look at: lines while a search runs, tables, frames and figures. See README.md."""
