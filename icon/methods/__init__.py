"""The table: its rows, its columns and the methods in its cells."""
