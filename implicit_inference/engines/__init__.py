"""Engines: where the jobs of a sweep run, behind one small interface. No jax here."""
