"""The inside of any mesh: closed or not, wound either way, self-intersecting, doubled, in pieces.

The inside is where the winding number of the surface is not 0 (Jacobson et al., "Robust Inside-Outside Segmentation
using Generalized Winding Numbers", 2013). An open mesh is closed first, by a cone over each loop of open edges, so that
winding numbers are whole; faces that do not bound the inside (walls within, sheets outside) then count for nothing.
Everything here is in the object frame: the mesh fits into the unit sphere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import igl
import numpy as np

from .meshes import MeshError
from .triangles import areas, halve, longest_edge, normals, spread, volumes
from .winding import (
    close,
    connected_pieces,
    flood_wound,
    open_edges,
    same_way,
    sound,
    take_once,
    turn_pieces,
    weld,
    wind_alike,
    winding_tree,
)

PROBE = 2e-4  # how far from a surface its sides are looked at: walls and gaps thinner than this are not seen
COARSE, FINE = 0.1, 0.004  # edge lengths: parts of faces up to COARSE may be left out, parts up to FINE are not cut
MANY = 20_000  # no more parts are cut at once: where faces coincide, each is in doubt, and little is gained
THIN = 0.004  # a mean thickness below this is hardly seen by samples and hardly held by a decoder
JUDGED = 4000  # points on the surface whose sides are looked at to judge a way of telling the inside

# Shares of surface: worth a warning, and too much to go on.
NOTABLE, TOO_MANY_SHEETS, TOO_MANY_LIDS = 0.002, 0.1, 0.4

SOLIDIFY = "Give it a thickness (in Blender: the Solidify modifier)"


@dataclass(frozen=True)
class Report:
    """How the inside of a mesh was told.

    Attributes
    ----------
    sign : str
        ``"winding"``: by the winding number of the faces as they are. ``"turned"``: the same, some or all having been
        wound the wrong way round. ``"single"``: doubled faces were taken once. ``"flood fill"``: outside is what can be
        reached from far away through a grid, and faces were wound accordingly.
    pieces : int
        Connected pieces.
    open_edges : int
        Edges without a face on their other side.
    turned : float
        Share of the surface that was turned round.
    sheets : float
        Share of the surface that was left out, having the outside on both sides.
    walls : float
        Share of the surface that was left out, having the inside on both sides.
    lids : float
        Share of the solid's surface that is not the mesh's: it closes open edges.
    doubtful : float
        Share of the samples whose sign depends on those lids.
    warnings : tuple of str
        What a person should know; empty where nothing is in doubt.
    """

    sign: str
    pieces: int
    open_edges: int
    turned: float
    sheets: float
    walls: float
    lids: float
    doubtful: float = 0.0
    warnings: tuple[str, ...] = ()

    def with_doubt(self, doubtful: float) -> Report:
        """The same with the share of doubtful samples, and a warning where it is notable."""
        text = f"The sign of {doubtful:.1%} of the samples depends on how the openings were closed."
        return replace(self, doubtful=doubtful, warnings=self.warnings + (text,) * (doubtful > NOTABLE))


class Solid:
    """The set where the winding number of closed, oriented triangles is not 0.

    Parameters
    ----------
    vertices : (N, 3) array
    faces : (M, 3) array of indices
        Front sides mostly outwards; lids are put over open edges.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        lid_vertices, lids = close(vertices, faces)
        self.vertices = lid_vertices
        self.lids = sound(lid_vertices, lids)
        self.faces = np.concatenate([sound(lid_vertices, faces), self.lids])
        self._numbers = winding_tree(self.vertices, self.faces)

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Which of points (N, 3) are inside (N,)."""
        return np.abs(self._numbers.winding_number(np.ascontiguousarray(points, float))) > 0.5

    def doubtful(self, points: np.ndarray) -> np.ndarray:
        """For which of points (N, 3) the winding number is another, or fractional, without the lids (N,)."""
        if not len(self.lids):
            return np.zeros(len(points), bool)
        points = np.ascontiguousarray(points, float)
        closed = self._numbers.winding_number(points)
        number = np.abs(closed - winding_tree(self.vertices, self.lids).winding_number(points))
        return (np.abs(number - 0.5) < 0.25) | ((number > 0.5) != (np.abs(closed) > 0.5))

    def sides(self, corners: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whether it is inside before and behind points (N, 3) of triangles with corners (N, 3, 3)."""
        step = PROBE * normals(corners)
        return self.inside(points + step), self.inside(points - step)

    def spread(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Points (count, 3) spread evenly by area over the solid's own surface."""
        triangles = self.vertices[self.faces]
        found = np.empty((0, 3))
        while len(found) < count:
            corners, points = spread(triangles, count, rng)
            front, back = self.sides(corners, points)
            found = np.concatenate([found, points[front != back]])
        return found[:count]

    def signed_distance(self, points: np.ndarray) -> np.ndarray:
        """Distance (N,) of points (N, 3) to the solid's own surface, negative inside.

        Exact where the nearest face bounds the solid, which is looked at; else within about `FINE`.
        """
        points = np.ascontiguousarray(points, float)
        inside = self.inside(points)
        triangles = self.vertices[self.faces]
        distances, wrong, hit = self._nearest(triangles, points, inside)
        unsettled = np.flatnonzero(wrong)
        if len(unsettled):
            triangles = self._bounding(triangles)
        while len(unsettled):
            distances[unsettled], wrong, hit = self._nearest(triangles, points[unsettled], inside[unsettled])
            # Cut what was taken for the surface and is not, at least not there.
            cut = np.unique(hit[wrong])
            cut = cut[longest_edge(triangles[cut]) > FINE]
            unsettled = unsettled[wrong & np.isin(hit, cut)]
            triangles = np.concatenate([np.delete(triangles, cut, 0), self._bounding(halve(triangles[cut], 2))])
        return np.where(inside, -distances, distances)

    def _nearest(
        self, triangles: np.ndarray, points: np.ndarray, inside: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distances (N,) to triangles (K, 3, 3), where the nearest does not bound the solid (N,), which it is (N,)."""
        vertices, faces = _soup(triangles)
        tree = igl.AABB()
        tree.init(vertices, faces)
        squared, hit, nearest = tree.squared_distance(vertices, faces, points)
        distances = np.sqrt(squared)
        way = (nearest - points) / np.maximum(distances, 1e-12)[:, None]
        wrong = self.inside(nearest + PROBE * way) == inside
        wrong &= distances > 1e-9
        # Beyond a sharp edge lies the same side again: look at both sides of the face beside it instead.
        rest = np.flatnonzero(wrong)
        corners = triangles[hit[rest]]
        inwards = corners.mean(1) - nearest[rest]
        length = np.maximum(np.linalg.norm(inwards, axis=1, keepdims=True), 1e-12)
        front, back = self.sides(corners, nearest[rest] + inwards * np.minimum(10 * PROBE / length, 0.5))
        wrong[rest] = front == back
        return distances, wrong, hit

    def _bounding(self, triangles: np.ndarray) -> np.ndarray:
        """The parts (K', 3, 3) of triangles (K, 3, 3) that bound the solid, cut where only a part does."""
        kept = [np.empty((0, 3, 3))]
        while len(triangles):
            centres = triangles.mean(1, keepdims=True)
            points = np.concatenate([0.9 * triangles + 0.1 * centres, centres], 1)
            front, back = self.sides(np.repeat(triangles, 4, 0), points.reshape(-1, 3))
            share = (front != back).reshape(-1, 4).mean(1)
            length = longest_edge(triangles)
            again = np.where(share == 0, length > COARSE, (share < 1) & (length > FINE)) & (len(triangles) < MANY)
            kept.append(triangles[((share > 0) | (length > COARSE)) & ~again])
            triangles = halve(triangles[again], 2)
        return np.concatenate(kept)


def solid_of(vertices: np.ndarray, faces: np.ndarray) -> tuple[Solid, Report]:
    """Tell the inside of a mesh by the plainest way that leaves little in doubt.

    Parameters
    ----------
    vertices : (N, 3) array
        In the unit sphere.
    faces : (M, 3) array of indices
        As `check_mesh` returns them.

    Returns
    -------
    solid : Solid
    report : Report

    Raises
    ------
    MeshError
        The mesh has no inside, or too much of its surface would be left out or made up.
    """
    vertices, faces = weld(vertices, faces)
    single, doubled = take_once(faces)
    judge = _Judge(vertices, single)
    tried = []
    for sign in ("winding", "single", "flood fill"):
        if sign == "single" and not doubled.any():
            continue
        if sign == "flood fill":
            wound, used = flood_wound(vertices, single)
        else:
            # Winding numbers of faces with a copy that looks the other way cancel.
            used = np.flatnonzero(~doubled | (sign == "single"))
            wound = turn_pieces(vertices, wind_alike(single[used]))
        if len(wound):
            area = areas(vertices[wound])
            turned = float(area[~same_way(single[used], wound)].sum() / max(area.sum(), 1e-300))
            tried.append((sign, turned, judge(Solid(vertices, wound))))
            if tried[-1][2].doubt < NOTABLE:
                break
    if not tried:
        raise MeshError(f"The mesh has no inside: every face has the outside on both sides. {SOLIDIFY}.")
    sign, turned, verdict = min(tried, key=lambda one: one[2].doubt)
    if verdict.sheets > 1 - NOTABLE:
        raise MeshError(f"The mesh has no inside: its faces enclose nothing. {SOLIDIFY}.")
    if verdict.sheets > TOO_MANY_SHEETS:
        raise MeshError(f"{verdict.sheets:.0%} of the mesh's surface has no thickness. {SOLIDIFY}, or remove it.")
    if verdict.lids > TOO_MANY_LIDS:
        raise MeshError(
            f"The mesh is open: {verdict.lids:.0%} of its closed surface would be made up. {SOLIDIFY} if it is a thin "
            "wall, or close it (Mesh > Clean Up > Fill Holes)."
        )
    if sign == "winding" and turned > 0:
        sign = "turned"
    report = Report(
        sign=sign,
        pieces=int(connected_pieces(single).max()) + 1,
        open_edges=int(np.count_nonzero(open_edges(single)[1])),
        turned=turned,
        sheets=verdict.sheets,
        walls=verdict.walls,
        lids=verdict.lids,
        warnings=tuple(_warnings(sign, verdict, turned)),
    )
    return verdict.solid, report


@dataclass(frozen=True)
class _Verdict:
    """What of a mesh's surface bounds a solid made from it."""

    solid: Solid
    sheets: float
    walls: float
    lids: float
    negative: float
    thickness: float

    @property
    def doubt(self) -> float:
        return self.sheets + self.lids + self.negative


class _Judge:
    """Looks at both sides of points spread over a mesh's faces, the same for all solids that are made from it."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        self.corners = vertices[sound(vertices, faces)]
        self.area = float(areas(self.corners).sum())
        self.points = spread(self.corners, JUDGED, np.random.default_rng(0))

    def __call__(self, solid: Solid) -> _Verdict:
        front, back = solid.sides(*self.points)
        bounding = front != back
        lid_area = 0.0
        if len(solid.lids):
            corners = solid.vertices[solid.lids]
            lid_front, lid_back = solid.sides(*spread(corners, JUDGED, np.random.default_rng(0)))
            lid_area = float(areas(corners).sum() * (lid_front != lid_back).mean())
        own_area = self.area * float(bounding.mean())
        numbers = solid._numbers.winding_number(self.points[1] - PROBE * normals(self.points[0]))
        volume = abs(float(volumes(solid.vertices[solid.faces]).sum()))
        return _Verdict(
            solid=solid,
            sheets=float((~front & ~back).mean()),
            walls=float((front & back).mean()),
            lids=lid_area / max(lid_area + own_area, 1e-300),
            negative=float((numbers < -0.5).mean()),
            thickness=2 * volume / max(lid_area + own_area, 1e-300),
        )


def _warnings(sign: str, verdict: _Verdict, turned: float) -> list[str]:
    """What a person should know of how a mesh's inside was told."""
    found = []
    if sign == "flood fill":
        found.append("Its faces do not tell the inside; what cannot be reached from outside through a grid was taken.")
    if NOTABLE < turned < 1 - NOTABLE and sign != "flood fill":
        found.append(f"{turned:.1%} of its surface was wound the other way than the rest and has been turned round.")
    if verdict.lids > NOTABLE:
        found.append(
            f"It is open, and was closed over the open edges: {verdict.lids:.1%} of the surface is made up. "
            "A container or a thin wall is filled by that; it needs a thickness first (in Blender: Solidify)."
        )
    if verdict.sheets > NOTABLE:
        found.append(f"{verdict.sheets:.1%} of its surface has no thickness and was left out. {SOLIDIFY}.")
    if verdict.negative > NOTABLE:
        found.append(f"{verdict.negative:.1%} of its surface is turned inside out where it crosses itself.")
    if verdict.thickness < THIN:
        found.append(f"It is only {verdict.thickness:.4f} thick in the mean, the unit sphere's radius being 1.")
    return found


def _soup(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (K, 3, 3) as vertices (3K, 3) and faces (K, 3)."""
    return np.ascontiguousarray(triangles.reshape(-1, 3)), np.arange(3 * len(triangles)).reshape(-1, 3)
