"""The world of in-context linear regression: tasks, prompts, exact Bayes, conjugations."""
