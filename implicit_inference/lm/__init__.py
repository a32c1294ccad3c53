"""A real language model, read from a local directory and probed by conjugate prompts. Needs the extra `lm`."""
