"""A third world, the smallest: loaded coins with C faces, some known and the rest from a Dirichlet prior.

It stands here to prove the seam: pretraining, fine-tuning, probe, figures and report run in it without a change.
A task is a distribution p over faces; y_k ~ p, whatever x_k. The conjugation relabels the faces.
"""
