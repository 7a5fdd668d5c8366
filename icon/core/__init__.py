"""The engine: one loss, the problem that it poses, and the evaluators that solve it."""
