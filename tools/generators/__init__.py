"""Generators of parametric furniture meshes for training and tests."""
