"""Generators of closed parametric meshes, a class each, to train and test the shape priors.

`GENERATORS` gives each class's function from a seed to vertices (V, 3) and faces (F, 3).
"""

from collections.abc import Callable

import numpy as np

from . import tables

GENERATORS: dict[str, Callable[[int], tuple[np.ndarray, np.ndarray]]] = {
    "table": tables.make_table,
}
