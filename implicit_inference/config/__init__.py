"""A run as data: its fields and their ranges, presets, flags, the id that it is stored under. No jax here."""
