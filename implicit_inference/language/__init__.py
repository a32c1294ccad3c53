"""World 2: tiny languages, in which translation is the conjugate prompt, with exact Bayesian inference."""
