"""The experiments: ``python -m experiments NAME --dataset D --seeds S``, from a checkout."""
