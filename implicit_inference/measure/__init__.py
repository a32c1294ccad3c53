"""Held-out prompts, answered by predictors: one table, and what its numbers say."""
