"""Language models: their directories on disk, and their forward pass."""
