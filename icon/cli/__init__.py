"""The command ``icon``."""
