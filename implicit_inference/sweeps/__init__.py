"""Sweeps: a file or axes -> runs -> jobs on an engine -> one table and one page. No jax here."""
