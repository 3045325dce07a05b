"""The worker: a program of its own, run by a Python that has PyTorch."""
