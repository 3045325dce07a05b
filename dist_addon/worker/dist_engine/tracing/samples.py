"""What the decoder said at the lattice's nodes, carried along when the code moves."""

from __future__ import annotations

import torch
from torch import Tensor

from ..decoder import DecoderField
from .models import KEPT, Models

# Nodes of the finest lattice along the cube's side: nodes are named by their place (N, 3) on it.
NODES = 129
# The error (of f) that nodes may gather before they are asked anew.
ERROR = 4e-4


def position(nodes: Tensor) -> Tensor:
    """Points (N, 3) of the cube [-1, 1]^3 at nodes (N, 3)."""
    return nodes.float() * (2 / (NODES - 1)) - 1


class NodeSamples:
    """f at the lattice's nodes, each asked for once, and again when its model has aged."""

    def __init__(self) -> None:
        self.models = Models(ERROR)

    def follow(self, field: DecoderField) -> None:
        """Answer for `field` from now on: the same decoder's, at this code or another."""
        self.field = field
        if self.models.turn < 0:
            device = field.code.device
            self.row = torch.full((NODES**3,), -1, dtype=torch.long, device=device)
            self.place, self.used = (torch.zeros(0, dtype=torch.long, device=device) for _ in range(2))
        if self.models.follow(field.code):
            self._forget()

    def __call__(self, nodes: Tensor) -> Tensor:
        """Values of f (N,) at nodes (N, 3)."""
        place = _place(nodes)
        row = self.row[place]
        old = row[row >= 0]
        self.models.refresh(old[self.used[old] < self.models.turn], self._ask)
        new = place[row < 0]
        self.row[new] = self.models.add(len(new))
        self.place = torch.cat([self.place, new])
        self.used = torch.cat([self.used, torch.zeros_like(new)])
        self._ask(self.row[new])
        row = self.row[place]
        self.used[row] = self.models.turn
        return self.models.values(row)

    def errors(self, nodes: Tensor) -> Tensor:
        """What the values at nodes (N, 3) may be off by for being answers of a model."""
        return self.models.errors(self.row[_place(nodes)])

    def _ask(self, row: Tensor) -> None:
        place = self.place[row]
        nodes = torch.stack([place // NODES**2, place // NODES % NODES, place % NODES], 1)
        found = self.field.jacobian(position(nodes), "grid")
        self.models.learn(row, found.value, found.d_code)

    def _forget(self) -> None:
        """Drop the nodes that no frame has used for long."""
        keep = self.used > self.models.turn - KEPT
        self.row[self.place[~keep]] = -1
        self.place, self.used = self.place[keep], self.used[keep]
        self.models.keep(keep)
        self.row[self.place] = torch.arange(len(self.place), device=self.row.device)


def _place(nodes: Tensor) -> Tensor:
    return (nodes[:, 0] * NODES + nodes[:, 1]) * NODES + nodes[:, 2]
