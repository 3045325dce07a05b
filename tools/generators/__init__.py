"""Generators of closed parametric meshes, a class each, to train and test the shape priors.

`GENERATORS` gives each class's function from a seed to vertices (V, 3) and faces (F, 3).
"""

from collections.abc import Callable

import numpy as np

from . import aeroplanes, cars, chairs, sofas, tables

GENERATORS: dict[str, Callable[[int], tuple[np.ndarray, np.ndarray]]] = {
    "aeroplane": aeroplanes.make_aeroplane,
    "car": cars.make_car,
    "chair": chairs.make_chair,
    "sofa": sofas.make_sofa,
    "table": tables.make_table,
}
