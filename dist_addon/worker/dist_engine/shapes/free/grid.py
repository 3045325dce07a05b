"""A distance field on the blocks of a grid that are near its surface, and a bound of the distance everywhere else.

Nodes lie on the cube [-REACH, REACH]^3. A block is `BLOCK` cells wide and owns as many nodes along each axis; to sample
it, the nodes that it shares with the next ones are laid beside its own, so that a point needs one look at the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

# Half the cube's side: the unit sphere and some cells.
REACH = 1.06
# Cells along a block's side.
BLOCK = 4
# Nodes that are nearer to the surface than so many cells are in blocks.
NEAR = 4.5
# Cells along the cube's side by which distances beyond the blocks are bounded, at most.
FAR_CELLS = 64

CORNERS = torch.cartesian_prod(*[torch.arange(2)] * 3)
# Neighbours (x, y, z): along each axis ahead and back.
AXES = torch.stack([sign * torch.eye(3, dtype=torch.long)[axis] for axis in range(3) for sign in (1, -1)])


@dataclass(frozen=True)
class Grid:
    """A signed distance function.

    Attributes
    ----------
    cells : int
        Along the cube's side: `BLOCK` times a power of two.
    blocks : (S, 3) int tensor
        Places of the blocks that there are, in blocks.
    values : (S * BLOCK^3,) tensor
        At the blocks' own nodes.
    far : (F, F, F) tensor
        In cells of the cube: no larger than the distance, with its sign. It counts where there is no block.
    """

    cells: int
    blocks: Tensor
    values: Tensor
    far: Tensor

    @property
    def width(self) -> float:
        """A cell's."""
        return 2 * REACH / self.cells

    @property
    def side(self) -> int:
        """Blocks along the cube's side."""
        return self.cells // BLOCK

    @cached_property
    def table(self) -> Tensor:
        """Which of the blocks is at a place, (side^3,); -1 for none."""
        table = self.blocks.new_full((self.side**3,), -1)
        table[cube_index(self.blocks, self.side)] = torch.arange(len(self.blocks), device=table.device)
        return table

    def nodes(self) -> Tensor:
        """Places (S * BLOCK^3, 3) of the blocks' own nodes, in cells."""
        inner = torch.cartesian_prod(*[torch.arange(BLOCK, device=self.blocks.device)] * 3)
        return (self.blocks[:, None] * BLOCK + inner).reshape(-1, 3)

    def positions(self, nodes: Tensor) -> Tensor:
        """Where nodes (N, 3) are in the object frame."""
        return nodes.to(self.values) * self.width - REACH

    def index(self, nodes: Tensor) -> Tensor:
        """Which of `values` each node (..., 3) is; -1 where it is in no block."""
        place = nodes.div(BLOCK, rounding_mode="floor")
        within = ((place >= 0) & (place < self.side)).all(-1)
        slot = torch.where(within, self.table[cube_index(place.clamp(0, self.side - 1), self.side)], -1)
        return torch.where(slot >= 0, slot * BLOCK**3 + cube_index(nodes - place * BLOCK, BLOCK), -1)

    @cached_property
    def neighbours(self) -> Tensor:
        """Which of `values` (N, 6) is beside each: ahead and back along each axis; -1 where none is."""
        return self.shifted(AXES)

    def shifted(self, steps: Tensor) -> Tensor:
        """Which of `values` (N, K) is at steps (K, 3) from each; -1 where none is."""
        inner = torch.cartesian_prod(*[torch.arange(BLOCK, device=self.blocks.device)] * 3)
        found = []
        around = torch.cartesian_prod(*[torch.arange(-1, 2, device=self.blocks.device)] * 3)
        places = self.blocks[:, None] + around
        within = ((places >= 0) & (places < self.side)).all(-1)
        slots = torch.where(within, self.table[cube_index(places.clamp(0, self.side - 1), self.side)], -1)
        for step in steps.to(inner):
            there = inner + step
            block = there.div(BLOCK, rounding_mode="floor")
            slot = slots[:, cube_index(block + 1, 3)]
            found.append(
                torch.where(slot >= 0, slot * BLOCK**3 + cube_index(there - block * BLOCK, BLOCK), -1).flatten()
            )
        return torch.stack(found, 1)

    @cached_property
    def padded_index(self) -> Tensor:
        """Which of `values` (S, (BLOCK + 1)^3) each block's nodes are, with those of the next ones; -1 where none."""
        inner = torch.cartesian_prod(*[torch.arange(BLOCK + 1, device=self.blocks.device)] * 3)
        return self.index(self.blocks[:, None] * BLOCK + inner)

    @cached_property
    def padded(self) -> Tensor:
        """The values (S, (BLOCK + 1)^3) there; where there is no block, the bound."""
        index = self.padded_index
        found = self.values[index.clamp(min=0)]
        lone = (index < 0).nonzero()
        if len(lone):
            inner = torch.cartesian_prod(*[torch.arange(BLOCK + 1, device=index.device)] * 3)
            found[lone[:, 0], lone[:, 1]] = self.beyond(self.blocks[lone[:, 0]] * BLOCK + inner[lone[:, 1]])
        return found

    def cell(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The block (N,) of points (N, 3), -1 for none, the padded node (N,) at its cell's corner, (N, 3) within."""
        scaled = ((points + REACH) / self.width).clamp(0, self.cells * (1 - 1e-6))
        corner = scaled.long()
        place = corner // BLOCK
        slot = self.table[cube_index(place, self.side)]
        return slot, cube_index(corner - place * BLOCK, BLOCK + 1), scaled - corner

    def __call__(self, points: Tensor) -> Tensor:
        """Values (N,) at points (N, 3) of the object frame."""
        slot, corner, share = self.cell(points)
        values = self.padded.flatten()
        first = slot.clamp(min=0) * (BLOCK + 1) ** 3 + corner
        x, y, z = share.unbind(1)
        line, plane = BLOCK + 1, (BLOCK + 1) ** 2
        low = torch.lerp(
            torch.lerp(values[first], values[first + 1], z),
            torch.lerp(values[first + line], values[first + line + 1], z),
            y,
        )
        first = first + plane
        high = torch.lerp(
            torch.lerp(values[first], values[first + 1], z),
            torch.lerp(values[first + line], values[first + line + 1], z),
            y,
        )
        found = torch.lerp(low, high, x)
        lone = slot < 0
        return torch.where(lone, self._bound(points), found) if bool(lone.any()) else found

    def weights(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Which of `values` (N, 8) are about each of the points (N, 3), -1 for none, and their shares (N, 8)."""
        slot, corner, share = self.cell(points)
        offsets = cube_index(CORNERS.to(corner), BLOCK + 1)
        index = self.padded_index.flatten()[(slot.clamp(min=0) * (BLOCK + 1) ** 3 + corner)[:, None] + offsets]
        ahead = CORNERS.to(share)
        weight = (ahead * share[:, None] + (1 - ahead) * (1 - share[:, None])).prod(2)
        return torch.where(slot[:, None] >= 0, index, -1), weight

    def slope(self, points: Tensor) -> Tensor:
        """Derivatives (N, 3) by differences over two cells: a trilinear cell's own jumps from one to the next."""
        steps = AXES.to(points) * self.width
        found = self((points[:, None] + steps).reshape(-1, 3)).reshape(-1, 3, 2)
        return (found[..., 0] - found[..., 1]) / (2 * self.width)

    def beyond(self, nodes: Tensor) -> Tensor:
        """The bound (N,) at nodes (N, 3) that no block owns."""
        side = self.far.shape[0]
        # In whole numbers: a node on the edge of a cell must not be taken for the next one's.
        place = (nodes * side).div(self.cells, rounding_mode="floor").clamp(0, side - 1)
        found = self.far.flatten()[cube_index(place, side)]
        # Nodes on the cube's far sides are in no block, and what is in the cells beside them may be the thing's inside.
        return torch.where((nodes >= self.cells).any(1), found.abs(), found)

    def _bound(self, points: Tensor) -> Tensor:
        side = self.far.shape[0]
        place = ((points + REACH) * (side / (2 * REACH))).long().clamp(0, side - 1)
        return self.far.flatten()[cube_index(place, side)]

    def crossed(self) -> Tensor:
        """Places (C, 3) of the cells that the surface passes, in cells."""
        inside = (self.padded <= 0).reshape(-1, BLOCK + 1, BLOCK + 1, BLOCK + 1)
        corners = torch.stack([inside[:, x : x + BLOCK, y : y + BLOCK, z : z + BLOCK] for x, y, z in CORNERS.tolist()])
        found = (corners.any(0) & ~corners.all(0)).nonzero()
        return self.blocks[found[:, 0]] * BLOCK + found[:, 1:]

    @staticmethod
    def of(f: Callable[[Tensor], Tensor], cells: int, device: torch.device) -> Grid:
        """The zero of a function f from points (N, 3) to values (N,), of which the slope is at most one or so.

        Values are f's own: `distance.redistanced` makes a distance of them.
        """
        side, width = cells // BLOCK, 2 * REACH / cells
        places = torch.cartesian_prod(*[torch.arange(side, device=device)] * 3)
        middle = f((places + 0.5) * (BLOCK * width) - REACH)
        # A block's corners are so far from its middle.
        near = middle.abs() < (3**0.5 / 2 * BLOCK + NEAR) * width
        far = torch.where(near, middle.new_tensor(NEAR * width), middle.abs() - 3**0.5 / 2 * BLOCK * width)
        far = (far * torch.where(middle > 0, 1.0, -1.0)).reshape(side, side, side)
        empty = Grid(cells, places[near], middle.new_zeros(0), far)
        return Grid(cells, empty.blocks, f(empty.positions(empty.nodes())), far)


def cube_index(places: Tensor, side: int) -> Tensor:
    """Places (..., 3) as flat indices into a cube of so many."""
    return (places[..., 0] * side + places[..., 1]) * side + places[..., 2]
