"""Exact inference in any world: precision, programs compiled once, shapes that fit."""
