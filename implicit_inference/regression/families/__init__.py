"""More task families than a discrete set and a Gaussian, each with its exact predictive."""
