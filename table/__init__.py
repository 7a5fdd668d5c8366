"""The periodic table, regenerated and verified: ``python -m table``."""
