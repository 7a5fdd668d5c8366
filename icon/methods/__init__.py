"""The table: its rows and columns, and the methods in its cells as typed factories, a file for each family."""

from icon.methods import clusters, multimodal, neighbor_embedding, self_supervised, supervised

__all__ = ["clusters", "multimodal", "neighbor_embedding", "self_supervised", "supervised"]
