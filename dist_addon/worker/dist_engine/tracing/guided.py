"""Ours: the interpolant of a sparse lattice finds every hit but for a small correction, and neighbours share that.

1. Scan (no queries): the first root of the interpolant g along each ray, or where g is too near zero to tell.
2. Rays that surely hit: solve every fourth pixel, predict the correction ``distance - root of g`` of the pixels between
   from their neighbours', check every second pixel with one query, and the rest only where a check failed nearby.
3. Rays on which g dips into its own error: search that stretch for the first root, or scan on behind it.

With a `Memory`, the lattice's samples follow the code, and in step 2 so do rays that hit in the last frame: each that
was asked has a model of its depth. It is believed while the interpolant, which knows the whole shape, says that the ray
still hits thereabouts; beside edges, and where the two part, the ray is asked again.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decoder import DecoderField
from ..rays import Rays
from .lattice import Lattice
from .march import March, Probe, Trace
from .memory import Frame, Memory
from .raster import Raster
from .samples import position
from .scan import DOUBT, DOUBTFUL, SURE, Scan, scan

# Samples of a stretch in doubt.
SAMPLES = 25
# How much faster f may change along a ray than the interpolant does.
DEVIATION = 0.35
# Queries to one stretch, and stretches to one ray.
SEARCH_STEPS, ROUNDS = 20, 6
# Unchecked pixels are left to their neighbours where checks there found less than this error of depth, and where the
# interpolant is no worse than `CALM` if its cells are too small for the neighbours to see the same.
SMOOTH, CALM = 2e-4, 3e-4
# How far off the slope of f along a ray is at most, taken from the interpolant, where it is smooth.
SLOPE_ERROR = 0.1
SOLVE_STEPS = 10
# A ray may hit where it did in the last frame if that is no farther from g's root than the root may be off, and this.
FOLLOWED = 2e-3
# A model may part from g's root by this share of what that may be off, and by this, before the ray is asked again.
PARTED, FARTHEST = 0.4, 1e-3
# Beside an edge is where the hits around a ray are off a plane by more than this: the edge may move across the ray.
EDGE = 3e-3


@torch.no_grad()
def trace_guided(field: DecoderField, picture: Raster, threshold: Tensor, memory: Memory | None = None) -> Trace:
    """Trace every pixel of a picture with the help of a lattice of the same field.

    Parameters
    ----------
    field : DecoderField
    picture : Raster
    threshold : (N,) tensor
        Largest |f| that counts as the surface, row by row.
    memory : Memory, optional
        What earlier frames found; it takes what this one finds.

    Returns
    -------
    Trace
        `value` is 0 where a pixel was left to its neighbours, and the interpolant's where a ray surely misses.
    """
    return _Tracer(field, picture, threshold, memory).run()


class _Tracer:
    """One picture on its way: what is known of each ray."""

    def __init__(self, field: DecoderField, picture: Raster, threshold: Tensor, memory: Memory | None) -> None:
        self.field, self.picture, self.threshold = field, picture, threshold
        self.rays = picture.rays()
        self.probe = Probe(field, self.rays)
        middle = (self.rays.near + self.rays.far) / 2
        self.meets = self.rays.near < self.rays.far
        self.hit = torch.zeros_like(self.meets)
        self.distance = torch.where(self.meets, self.rays.near, middle)
        self.value = torch.full_like(middle, float("inf"))
        self.view = None
        # Rays that hit where the last frame said, and all that may.
        self.followed, self.agreed = torch.zeros_like(self.meets), torch.zeros_like(self.meets)
        if memory is None:
            lattice = Lattice(lambda nodes: field(position(nodes), "grid"), middle.device)
        else:
            lattice = memory.lattice(field)
        lattice.refine_along(self._lookouts(lattice))
        self.lattice = lattice.finest
        if memory is not None:
            self.view = memory.view(picture, self.rays, field)
            worse = lattice.spread(memory.samples.errors)
            self.lattice.errors += F.avg_pool3d(worse[None], 2, 1)[0]

    def run(self) -> Trace:
        found = scan(self.lattice, self.rays, torch.where(self.meets, self.rays.near, self.rays.far))
        self.value = torch.where(self.meets, found.lowest, self.value)
        self.distance = torch.where(self.meets, found.lowest_at, self.distance)
        if self.view is not None:
            self.follow(self.view, found)
        self.solve_sure(found)
        self.search(found)
        self.hit |= self.meets & (self.value.abs() < self.threshold)
        trace = Trace(self.hit, self.distance, self.value, self.probe.queries)
        if self.view is not None:
            self.view.keep(trace, self.followed)
        return trace

    def follow(self, view: Frame, found: Scan) -> None:
        """Sure rays of which the last frame and the interpolant say the same; `solve_sure` does the others."""
        root = found.root.nan_to_num()
        error = DOUBT * self.lattice.at(self.rays.at(root))[1] / -found.slope
        self.agreed = (found.kind == SURE) & ((view.distance - root).abs() < error + FOLLOWED)
        tolerance = torch.where(self._by_an_edge(view.distance), 0.0, (PARTED * error).clamp(max=FARTHEST))
        view.check(self.agreed, root, tolerance, self.probe)
        self.take(view, self.agreed & (view.row >= 0))

    def _by_an_edge(self, distance: Tensor) -> Tensor:
        """Pixels (N,) with an edge, or a ray that misses, beside them."""
        image = distance.reshape(self.picture.shape())
        around = F.pad(image[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
        across = around[1:-1, :-2] + around[1:-1, 2:] - 2 * image
        down = around[:-2, 1:-1] + around[2:, 1:-1] - 2 * image
        flat = (across.abs() < EDGE) & (down.abs() < EDGE)
        return self._largest_nearby((~flat).to(distance), 1) > 0

    def take(self, view: Frame, mask: Tensor) -> None:
        """Have the rays in `mask` (N,) hit where `view` says."""
        mask = mask & view.distance.isfinite()
        self.followed |= mask
        self.hit |= mask
        self.value = torch.where(mask, 0.0, self.value)
        self.distance = torch.where(mask, view.distance, self.distance)

    def _lookouts(self, lattice: Lattice) -> Rays:
        """Rays so close together that no cell goes unseen."""
        rays = self.rays[self.rays.near < self.rays.far]
        # A camera may be within the unit sphere.
        width = float((rays.near.clamp(min=0.05) * rays.pixel).max()) if len(rays) else 1.0
        height, columns = self.picture.shape()
        stride = max(1, int(1 / (3 * lattice.finest.side / 4 * width)))
        chosen = torch.zeros((height, columns), dtype=torch.bool, device=self.hit.device)
        chosen[::stride, ::stride] = True
        return self.rays[chosen.flatten() & (self.rays.near < self.rays.far)]

    def solve_sure(self, found: Scan) -> None:
        """Every fourth pixel, then the pixels between, coarse to fine, from their neighbours' corrections."""
        height, width = self.picture.shape()
        device = self.hit.device
        y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
        level = torch.where((y % 4 == 0) & (x % 4 == 0), 4, torch.where((y % 2 == 0) & (x % 2 == 0), 2, 1)).flatten()
        sure, root = found.kind == SURE, found.root.nan_to_num()
        # Of the error of g in a cell, neighbours tell only if some of them look into that cell.
        error = self.lattice.at(self.rays.at(root))[1]
        told = (2 * self.rays.pixel * root < 2 / self.lattice.side) | (error < CALM)
        trusted = torch.zeros_like(sure)
        surprise, predicted = torch.zeros_like(root), torch.zeros_like(root)
        solved = self.followed.clone()
        for stride in (4, 2, 1):
            here = sure & (level == stride)
            if stride < 4:
                off = self.distance - root
                predicted, share = self._from_neighbours(off, solved & (level > stride), 2 * stride)
            if stride == 1:
                worst = self._largest_nearby(torch.where(solved & (level > 1), surprise, 0.0), 2)
                trusted = here & ~solved & told & (share > 0.99) & (worst < SMOOTH)
            asked = here & ~solved & ~trusted
            if self.view is not None:
                self.view.ask(asked & self.agreed, root, self.probe)
                self.take(self.view, asked & self.agreed)
            rest = (asked & ~self.followed).nonzero()[:, 0]
            first = root[rest] + predicted[rest]
            self.distance[rest] = self.solve(rest, first, found.slope[rest], found.outside[rest])
            solved |= asked
            if stride < 4:
                surprise = torch.where(here & solved, (self.distance - root - predicted).abs(), surprise)
        self.hit |= trusted
        self.value = torch.where(trusted, 0.0, self.value)
        self.distance = torch.where(trusted, root + predicted, self.distance)

    def _from_neighbours(self, image: Tensor, solved: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        """Bilinear interpolation of what is solved at every `stride`-th pixel, and the weight of what was there."""
        tent = 1 - torch.arange(1 - stride, stride, device=image.device).abs() / stride
        kernel = (tent[:, None] * tent)[None, None]
        images = torch.stack([torch.where(solved, image, 0.0), solved.to(image)])
        total, share = F.conv2d(images.reshape(2, 1, *self.picture.shape()), kernel, padding=stride - 1).flatten(1)
        return total / share.clamp(min=1e-6), share

    def _largest_nearby(self, image: Tensor, radius: int) -> Tensor:
        shaped = image.reshape(1, 1, *self.picture.shape())
        return F.max_pool2d(shaped, 2 * radius + 1, 1, radius).flatten()

    def solve(self, index: Tensor, first: Tensor, slope: Tensor, outside: Tensor) -> Tensor:
        """Root (M,) of f on the rays `index` from a guess, with the interpolant's slope, then the secant's.

        Rays that do not converge are marched from the last place that was surely outside.
        """
        t, slope = first.clone(), slope.clamp(max=-0.05)
        result = first.clone()
        left = torch.arange(len(index), device=index.device)
        last_t = last_f = torch.empty(0)
        for step in range(SOLVE_STEPS):
            if len(left) == 0:
                return result
            f = self.probe(index[left], t, "refine")
            if step > 0:
                secant = (f - last_f) / torch.where((t - last_t).abs() > 1e-9, t - last_t, 1e-9)
                slope = torch.where(secant < -0.02, secant.maximum(3 * slope), slope)
            limit = 2 / self.lattice.side
            move = (-f / slope).clamp(-limit, limit)
            # Converged, or so near that this step, by a slope known this well, ends there.
            done = torch.minimum(f.abs(), move.abs() * SLOPE_ERROR) < self.threshold[index[left]]
            result[left] = t + move
            now = index[left[done]]
            self.hit[now], self.value[now], self.distance[now] = True, f[done], (t + move)[done]
            keep = ~done
            last_t, last_f, left, slope, t = t[keep], f[keep], left[keep], slope[keep], (t + move)[keep]
        if len(left):
            result[left] = self.march_on(index[left], outside[left])
        return result

    def march_on(self, index: Tensor, start: Tensor) -> Tensor:
        """Plain sphere tracing of what nothing else could solve."""
        way = March(self.field, self.rays[index], self.threshold[index], relaxation=1.0, start=start)
        way.advance(50)
        trace = way.trace()
        self.probe.queries[index] += trace.queries
        self.hit[index], self.value[index], self.distance[index] = trace.hit, trace.value, trace.distance
        return trace.distance

    def search(self, found: Scan) -> None:
        """Search the doubtful stretches for the first root; behind one without, scan on.

        A ray that nears the surface to within the threshold without passing it counts as a hit if it meets none behind.
        """
        index = (found.kind == DOUBTFUL).nonzero()[:, 0]
        outside, behind = found.outside[index], found.behind[index]
        self.value[index] = float("inf")
        for _ in range(ROUNDS):
            if len(index) == 0:
                return
            inside = self.search_stretch(index, outside, behind)
            index, start = index[~inside], behind[~inside]
            again = scan(self.lattice, self.rays[index], start)
            sure = again.kind == SURE
            self.solve(index[sure], again.root[sure], again.slope[sure], again.outside[sure])
            left = again.kind == DOUBTFUL
            index, outside, behind = index[left], again.outside[left], again.behind[left]
        self.march_on(index, outside)

    def search_stretch(self, index: Tensor, outside: Tensor, behind: Tensor) -> Tensor:
        """Ask wherever the interpolant, corrected by the answers so far, leaves most room for f below zero.

        Returns which rays (M,) reach the surface in their stretch; these are solved.
        """
        count = len(index)
        every = torch.arange(count, device=index.device)
        t = outside[:, None] + (behind - outside)[:, None] * torch.linspace(0, 1, SAMPLES, device=outside.device)
        origins, directions = self.rays.origins[index], self.rays.directions[index]
        g, error = self.lattice.at((origins[:, None] + t[..., None] * directions[:, None]).reshape(-1, 3))
        g, error = g.reshape(t.shape), DOUBT * error.reshape(t.shape)
        # An error of a cell may come and go within a quarter of it.
        steep = (error * (2 * self.lattice.side)).clamp(min=DEVIATION)
        off, known = torch.zeros_like(g), torch.zeros_like(g, dtype=torch.bool)
        going = torch.ones(count, dtype=torch.bool, device=index.device)
        for _ in range(SEARCH_STEPS):
            away = (t[:, :, None] - t[:, None, :]).abs().masked_fill(~known[:, None, :], float("inf"))
            nearest, source = away.min(2)
            model = g + torch.where(known.any(1, keepdim=True), off.gather(1, source), 0.0)
            below = (known & (model < 0)).int()
            before = (below.cumsum(1) == 0) & ~known
            room = torch.where(before, model - torch.minimum(error, steep * nearest), float("inf"))
            lowest, place = room.min(1)
            going &= lowest < 0
            if not going.any():
                break
            rows, columns = every[going], place[going]
            f = self.probe(index[rows], t[rows, columns], "silhouette")
            off[rows, columns], known[rows, columns] = f - g[rows, columns], True
            nearer = f.abs() < self.value[index[rows]].abs()
            some = index[rows[nearer]]
            self.value[some], self.distance[some] = f[nearer], t[rows, columns][nearer]
        f = g + off
        self.ask_dips(index, t, f, known)
        below = known & (f < 0)
        inside, last = below.any(1), below.int().argmax(1)
        # The root lies between the first sample that was asked and negative and the last positive one before it.
        earlier = torch.arange(SAMPLES, device=t.device) < last[:, None]
        front = torch.where(known & earlier, torch.arange(SAMPLES, device=t.device), 0).amax(1)[inside]
        rows, last = every[inside], last[inside]
        fa = f[rows, front].clamp(min=1e-6)
        self.bracket(index[rows], t[rows, front], t[rows, last], fa, f[rows, last])
        return inside

    def ask_dips(self, index: Tensor, t: Tensor, f: Tensor, known: Tensor) -> None:
        """Where a ray all but touches the surface between samples, move a sample (of `t` and `f`) to the lowest point.

        That is the vertex of the parabola through the sample and its neighbours.
        """
        front = (known & (f < 0)).cumsum(1) == 0
        lowest, place = torch.where(front & known, f, float("inf")).min(1)
        place = place.clamp(1, SAMPLES - 2)
        near = (lowest < self.threshold[index]) & known.gather(1, place[:, None])[:, 0]
        rows, place = near.nonzero()[:, 0], place[near]
        before, now, after = (f[rows, place + side] for side in (-1, 0, 1))
        bend = before - 2 * now + after
        shift = torch.where(bend > 0, (before - after) / (2 * bend), 0.0).clamp(-1, 1)
        vertex = t[rows, place] + shift * (t[rows, 1] - t[rows, 0])
        found = self.probe(index[rows], vertex, "silhouette")
        lower = found < now
        t[rows[lower], place[lower]], f[rows[lower], place[lower]] = vertex[lower], found[lower]

    def bracket(self, index: Tensor, a: Tensor, b: Tensor, fa: Tensor, fb: Tensor) -> None:
        """Root of f between `a`, outside, and `b`, inside, by the Illinois method."""
        for _ in range(SOLVE_STEPS):
            done = fb.abs() < self.threshold[index]
            self.hit[index[done]], self.value[index[done]], self.distance[index[done]] = True, fb[done], b[done]
            keep = ~done
            index, a, b, fa, fb = index[keep], a[keep], b[keep], fa[keep], fb[keep]
            if len(index) == 0:
                return
            t = a + (b - a) * fa / (fa - fb)
            f = self.probe(index, t, "refine")
            crossed = f * fb < 0
            a, fa = torch.where(crossed, b, a), torch.where(crossed, fb, fa / 2)
            b, fb = t, f
        self.hit[index], self.value[index], self.distance[index] = True, fb, b
