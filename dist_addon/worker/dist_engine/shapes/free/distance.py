"""Making a distance of a function whose zero is a surface: by an upwind scheme in the blocks, a bound beyond them."""

from __future__ import annotations

import torch
from torch import Tensor

from .grid import BLOCK, FAR_CELLS, NEAR, REACH, Grid, cube_index

# Beside the surface, values are kept where their slope is that of a distance, as far as this.
SLOPES = 0.8, 1.25
# What is beyond the blocks may be so many cells nearer than their nodes: a block's cells reach beyond its own nodes,
# and the scheme's distances are up to half a cell too long.
NEARER = 1.5
# More than any distance in the cube.
UNKNOWN = 4.0


def redistanced(grid: Grid, near: float = NEAR) -> Grid:
    """The distance from a grid's zero, in the blocks that are nearer to it than so many cells.

    Raises
    ------
    ValueError
        There is no surface.
    """
    crossed = grid.crossed()
    if not len(crossed):
        raise ValueError("The shape has no surface: it is empty, or fills the whole cube.")
    bound = _bound(crossed, grid.cells)
    blocks = _near_blocks(bound, grid.cells, near)
    signs = _signs(grid, blocks)
    wide = Grid(grid.cells, blocks, signs, grid.far)
    distance = _upwind(wide, *_beside(wide), near + 1)
    kept = (distance.reshape(-1, BLOCK**3).amin(1) < near * grid.width).nonzero()[:, 0]
    values = (distance * torch.where(signs > 0, 1.0, -1.0)).reshape(-1, BLOCK**3)
    return Grid(
        grid.cells,
        blocks[kept],
        values[kept].flatten(),
        _far(grid, bound.clamp(min=(near - NEARER) * grid.width), blocks, values, kept),
    )


def _signs(grid: Grid, blocks: Tensor) -> Tensor:
    """The grid's values at the nodes of blocks (S, 3), of which it may lack some: there, the sign times `UNKNOWN`."""
    wide = Grid(grid.cells, blocks, grid.values, grid.far)
    nodes = wide.nodes()
    index = grid.index(nodes)
    lone = (index < 0).nonzero()[:, 0]
    values = grid.values[index.clamp(min=0)]
    beyond = grid.beyond(nodes[lone])
    values[lone] = torch.where(beyond > 0, UNKNOWN, -UNKNOWN).to(values)
    return values


def _beside(grid: Grid) -> tuple[Tensor, Tensor]:
    """Whether nodes (N,) are beside the surface, and how far (N,) those are from it."""
    values, h = grid.values, grid.width
    around = grid.neighbours
    there = torch.where(around >= 0, values[around.clamp(min=0)], values[:, None])
    crossed = (there > 0) != (values > 0)[:, None]
    beside = crossed.any(1)
    index = beside.nonzero()[:, 0]
    own, there, crossed = values[index].abs(), there[index], crossed[index]
    # Where the surface crosses the lines to the neighbours: the plane through the nearest crossings.
    lengths = torch.where(crossed, own[:, None] / (own[:, None] + there.abs()).clamp(min=1e-12) * h, UNKNOWN)
    nearest = lengths.reshape(-1, 3, 2).amin(2).clamp(min=1e-3 * h)
    plane = nearest.pow(-2).mul(nearest < UNKNOWN).sum(1).rsqrt()
    pairs = there.reshape(-1, 3, 2)
    slope = ((pairs[..., 0] - pairs[..., 1]) / (2 * h)).norm(dim=1)
    distance = torch.full_like(values, UNKNOWN)
    # The plane lacks crossings beyond the neighbours, so it is too far; where there is a kink, the slope is too small.
    scaled = torch.minimum(plane, own / slope.clamp(min=1e-6))
    distance[index] = torch.where((slope > SLOPES[0]) & (slope < SLOPES[1]), own, scaled)
    return beside, distance


def _upwind(grid: Grid, beside: Tensor, distance: Tensor, known: float) -> Tensor:
    """Godunov's scheme for |grad d| = 1 from the nodes beside the surface outwards, (N,), so many cells far."""
    h = grid.width
    free = (~beside).nonzero()[:, 0]
    around = grid.neighbours[free]
    around = torch.where(around >= 0, around, len(distance))
    distance = torch.cat([distance, distance.new_full((1,), UNKNOWN)])
    ahead, back = around.reshape(-1, 3, 2).permute(2, 1, 0).contiguous()
    for _ in range(int(1.8 * known) + 1):
        a, b, c = torch.minimum(distance[ahead], distance[back])
        a, b = torch.minimum(a, b), torch.maximum(a, b)
        b, c = torch.minimum(b, c), torch.maximum(b, c)
        a, b = torch.minimum(a, b), torch.maximum(a, b)
        found = a + h
        two = 0.5 * (a + b + (2 * h * h - (a - b).square()).clamp(min=0).sqrt())
        found = torch.where(found > b, two, found)
        total = a + b + c
        three = total.square() - 3 * (a * a + b * b + c * c - h * h)
        found = torch.where(found > c, (total + three.clamp(min=0).sqrt()) / 3, found)
        distance[free] = torch.minimum(distance[free], found)
    return distance[:-1].clamp(max=known * h)


def _bound(crossed: Tensor, cells: int) -> Tensor:
    """No more than the distance from the crossed cells (C, 3), in the cells (F, F, F) of a coarser cube."""
    side = min(cells, FAR_CELLS)
    hit = torch.zeros(side**3, dtype=torch.bool, device=crossed.device)
    hit[cube_index(crossed // (cells // side), side)] = True
    squared = torch.where(hit, 0.0, 1e6).reshape(side, side, side)
    axis = torch.arange(side, device=crossed.device)
    # Points of two cells may be one cell's width nearer to one another, along each axis, than the cells' middles.
    apart = ((axis[:, None] - axis).abs() - 1).clamp(min=0).square().to(squared)
    for _ in range(3):
        # One axis after the other (Felzenszwalb and Huttenlocher 2012), by brute force: cubes are small.
        squared = torch.stack([(squared + row[:, None, None]).amin(0) for row in apart]).permute(1, 2, 0).contiguous()
    return squared.sqrt() * (2 * REACH / side)


def _near_blocks(bound: Tensor, cells: int, near: float) -> Tensor:
    """Places (S, 3) of the blocks that may be nearer to the surface than so many cells."""
    side, width = cells // BLOCK, 2 * REACH / cells
    ratio = bound.shape[0] // side
    if ratio > 1:
        bound = -torch.nn.functional.max_pool3d(-bound[None], ratio)[0]
    return enlarged(bound < near * width, side).nonzero()


def _far(grid: Grid, bound: Tensor, blocks: Tensor, values: Tensor, kept: Tensor) -> Tensor:
    """The bound with signs, at least what nodes beyond the kept blocks are away; in cells or blocks, what is finer."""
    side = max(bound.shape[0], grid.side)
    bound, signs = enlarged(bound, side), enlarged(torch.where(grid.far > 0, 1.0, -1.0), side).contiguous()
    per = side // grid.side
    blocked = signs.reshape(grid.side, per, grid.side, per, grid.side, per)
    # Where the surface has left blocks behind, they have one sign.
    x, y, z = grid.blocks.T
    blocked[x, :, y, :, z, :] = torch.where(grid.values[:: BLOCK**3] > 0, 1.0, -1.0)[:, None, None, None]
    dropped = torch.ones(len(blocks), dtype=torch.bool, device=blocks.device)
    dropped[kept] = False
    x, y, z = blocks[dropped].T
    blocked[x, :, y, :, z, :] = torch.where(values[dropped][:, 0] > 0, 1.0, -1.0)[:, None, None, None]
    return (bound * signs).to(values)


def enlarged(cube: Tensor, side: int) -> Tensor:
    """Each cell of a cube as so many that there are `side` along each axis; the same where there are as many."""
    times = max(side // cube.shape[0], 1)
    for axis in range(3):
        cube = cube.repeat_interleave(times, axis)
    return cube
