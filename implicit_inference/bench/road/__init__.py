"""The road to a result: seconds until a network is near exact Bayes, from the published recipe to the package's."""
