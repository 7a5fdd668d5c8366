"""KL against other divergences in three cells of the table: clusters, classes, and maps."""
