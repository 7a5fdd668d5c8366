"""The table as people see it: page, figure, terminal, Markdown and CSV, all drawn from one table.json."""
