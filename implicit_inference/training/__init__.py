"""Stages of training: what a step is shown, the step, the loop around it, what is kept."""
