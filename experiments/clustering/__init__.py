"""Debiased clustering: against other methods, its neighbourhood, ingredients and debiasing, and model selection."""
