"""The sizes of prior that can be trained: how large a network, from how many samples, for how long.

==========  ==============================  =======  ===========  ==================  ====================
size        network                         weights  code         samples of a shape  made for
==========  ==============================  =======  ===========  ==================  ====================
small       6 layers of 192, waves, ReLU    0.27 M   64 numbers   40,000              a CPU of 2 cores
official    8 layers of 512, ReLU, tanh     1.8 M    256 numbers  200,000             a GPU
==========  ==============================  =======  ===========  ==================  ====================

*Small* is the network of the built-in priors: the code is seen by every layer, which costs nothing once a shape is
fixed, the point comes with waves of its coordinates, four octaves of them, and tracing asks it seven times as fast as
the other. *Official* is the network of DeepSDF (Park et al.,
CVPR 2019): code and point are seen by the first layer and the fifth. It holds finer detail and more variety.

The number of steps grows with the number of shapes, from what a handful needs to what hundreds can make use of.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..decoder import Architecture
from .auto_decoder import Recipe


@dataclass(frozen=True)
class Size:
    """How large a prior is, and how it is trained.

    Attributes
    ----------
    architecture : Architecture
    samples : int
        Signed distances taken of each shape.
    batch : int
        Signed distances of each of 64 shapes that a step sees.
    base, per_shape, most : int
        Steps: the first, and the second for each shape, but no more than the third.
    lr_decoder, lr_codes : float
        See `Recipe`. A wider network takes smaller steps.
    """

    architecture: Architecture
    samples: int
    batch: int
    base: int
    per_shape: int
    most: int
    lr_decoder: float
    lr_codes: float

    def recipe(self, shapes: int, steps: int, seed: int) -> Recipe:
        """How to train with so many shapes; for `steps` steps, or as many as it takes where that is 0."""
        steps = steps or min(self.base + self.per_shape * shapes, self.most)
        return Recipe(steps=steps, samples=self.batch, lr_decoder=self.lr_decoder, lr_codes=self.lr_codes, seed=seed)


SIZES = {
    "small": Size(
        architecture=Architecture(
            latent=64, widths=(192,) * 6, code_layers=tuple(range(6)), point_layers=(0, 3), octaves=4
        ),
        samples=40_000,
        batch=32,
        base=2500,
        per_shape=30,
        most=24_000,
        lr_decoder=3e-3,
        lr_codes=1e-2,
    ),
    "official": Size(
        # The fourth layer leaves room for what the fifth sees again, as in `official.load_official`.
        architecture=Architecture(
            latent=256,
            widths=(512, 512, 512, 253, 512, 512, 512, 512),
            code_layers=(0, 4),
            point_layers=(0, 4),
            tanh=1,
        ),
        samples=200_000,
        batch=512,
        base=5000,
        per_shape=100,
        most=60_000,
        lr_decoder=5e-4,
        lr_codes=3e-3,
    ),
}
