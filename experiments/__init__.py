"""The experiments: ``python -m experiments NAME --dataset D --seeds S``, from a checkout.

A new experiment is one `experiments.record.Experiment`, named in `experiments.registry`.
"""
