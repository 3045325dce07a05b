"""Derivatives of what rays see against finite differences of formulas, in double precision."""

from collections.abc import Callable, Iterator

import pytest
import torch
from dist_engine.cameras import Cameras, Similarity
from dist_engine.observations.surface import at_fixed
from dist_engine.rays import Rays
from dist_engine.reference.gradients import METHODS, normals, smallest_value, surface_distance
from dist_engine.tracing.march import march
from dist_engine.tracing.raster import Raster

from blender_tests.support.closed_forms import Box, ClosedForm, Sphere, box_depth, identity, sphere_depth

SIZE = 40
SPHERE, BOX = torch.tensor([0.6]).double(), torch.tensor([0.5, 0.3, 0.4]).double()
UNKNOWNS = ("code", "pose", "focal", "place")
Unknowns = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def start(code: torch.Tensor) -> Unknowns:
    return {
        "code": code.clone(),
        "pose": torch.tensor([[0.03, -0.02, 0.05, 0.04, -0.03, 0.1]]),
        "focal": torch.tensor(0.05),
        "place": torch.tensor([0.02, 0.3, 0.4, -0.2, 0.01, -0.02, 0.03]),
    }


def rays_of(unknowns: Unknowns, chosen: torch.Tensor | slice = slice(None)) -> tuple[Rays, Similarity]:
    K = torch.tensor([[50.0, 0, SIZE / 2], [0, 50, SIZE / 2], [0, 0, 1]])[None]
    cameras = Cameras(K, torch.eye(3)[None], torch.tensor([[0.0, 0, 3]])).retract(unknowns["pose"], unknowns["focal"])
    place = identity().retract(unknowns["place"])
    return Raster(cameras, 0, place, SIZE, SIZE).rays()[chosen], place


def true_depth(code: torch.Tensor, rays: Rays) -> torch.Tensor:
    return sphere_depth(rays, float(code[0])) if len(code) == 1 else box_depth(rays, code)


def true_normal(code: torch.Tensor, rays: Rays) -> torch.Tensor:
    points = rays.at(true_depth(code, rays))
    if len(code) == 1:
        return points / points.norm(dim=1, keepdim=True)
    distance = (points.abs() - code).abs()
    return torch.nn.functional.one_hot(distance.nan_to_num().argmin(1), 3) * points.sign()


def true_nearest(code: torch.Tensor, rays: Rays) -> torch.Tensor:
    """Smallest distance of each ray to the shape, which is convex: by ternary search."""
    shape = Sphere(code) if len(code) == 1 else Box(code)
    low, high = rays.near, rays.far
    for _ in range(70):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        lower = shape(rays.at(a), "truth") < shape(rays.at(b), "truth")
        low, high = torch.where(lower, low, a), torch.where(lower, b, high)
    return shape(rays.at((low + high) / 2), "truth")


def inside_of(mask: torch.Tensor) -> torch.Tensor:
    """Pixels whose eight neighbours are all in the mask."""
    return torch.nn.functional.avg_pool2d(mask.reshape(1, 1, SIZE, SIZE).double(), 3, 1, 1).flatten() > 0.999


def differences(loss: Callable[[Unknowns], torch.Tensor], at: Unknowns, name: str, step: float = 1e-6) -> torch.Tensor:
    """Central differences of a loss to one of the unknowns."""
    found = torch.zeros(at[name].numel())
    for i in range(len(found)):
        ends = []
        for sign in (1, -1):
            moved = at[name].clone().flatten()
            moved[i] += sign * step
            ends.append(loss(at | {name: moved.reshape(at[name].shape)}))
        found[i] = (ends[0] - ends[1]) / (2 * step)
    return found


def analytic(
    loss: Callable[[ClosedForm, Unknowns], torch.Tensor], shape: type[ClosedForm], at: Unknowns
) -> dict[str, torch.Tensor]:
    graph = {name: value.clone().requires_grad_() for name, value in at.items()}
    gradients = torch.autograd.grad(loss(shape(at["code"]), graph), list(graph.values()), materialize_grads=True)
    return {name: found.flatten() for name, found in zip(graph, gradients, strict=True)}


def compare(found: torch.Tensor, truth: torch.Tensor) -> None:
    if truth.norm() < 1e-6:
        assert found.norm() < 1e-3
        return
    assert torch.cosine_similarity(found, truth, dim=0) > 0.9999
    assert float(found.norm() / truth.norm()) == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize(("shape", "code"), [(Sphere, SPHERE), (Box, BOX)])
@pytest.mark.parametrize("of", ["depth", "normal", "silhouette"])
def test_all_gradients_match_the_formulas(shape: type[ClosedForm], code: torch.Tensor, of: str) -> None:
    at = start(code)
    rays, _ = rays_of(at)
    truth = true_depth(code, rays)
    hit = truth.isfinite()
    draw = torch.Generator().manual_seed(1)
    weight = torch.rand(SIZE * SIZE, 3, generator=draw)
    if of == "silhouette":
        # Rays that pass the shape; those near the sphere's rim have their minimum at its entry.
        middle = rays.at((rays.near + rays.far) / 2).norm(dim=1)
        weight[hit | (middle > 0.9)] = 0
    else:
        weight[~inside_of(hit)] = 0
    if of == "normal":
        # The stencil of normals reaches over edges.
        change = true_normal(code, rays).reshape(SIZE, SIZE, 3).diff(dim=0, prepend=torch.zeros(1, SIZE, 3))
        weight[~inside_of((change.norm(dim=2) < 0.1).flatten())] = 0
    chosen = (weight[:, 0] > 0).nonzero()[:, 0]
    weight = weight[chosen]
    assert len(weight) > 100

    def formula(unknowns: Unknowns) -> torch.Tensor:
        rays, place = rays_of(unknowns, chosen)
        if of == "depth":
            return (place.scale * true_depth(unknowns["code"], rays) * rays.cosine) @ weight[:, 0]
        if of == "silhouette":
            return true_nearest(unknowns["code"], rays) @ weight[:, 0]
        return ((true_normal(unknowns["code"], rays) @ place.rotation.T) * weight).sum()

    def loss(field: ClosedForm, unknowns: Unknowns) -> torch.Tensor:
        rays, place = rays_of(unknowns, chosen)
        fixed = rays.detach()
        trace = march(field, fixed, torch.full_like(fixed.near, 1e-9), steps=150, relaxation=1.0)
        code = unknowns["code"]
        if of == "silhouette":
            return smallest_value(field, code, rays, trace.distance, trace.value) @ weight[:, 0]
        distance = surface_distance(field, code, rays, trace.distance)
        if of == "depth":
            return (place.scale * distance * rays.cosine) @ weight[:, 0]
        return ((normals(field, code, rays.at(distance)) @ place.rotation.T) * weight).sum()

    assert float(loss(shape(code), at)) == pytest.approx(float(formula(at)), rel=1e-4)
    found = analytic(loss, shape, at)
    for name in UNKNOWNS:
        compare(found[name], differences(formula, at, name))


class Wedge(ClosedForm):
    """The greater of two planes' distances: along x, one falls and the other rises, less; the code (2,) shifts them."""

    def distance(self, points: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        one, two = points.new_tensor([-0.8, 0.6, 0.0]), points.new_tensor([0.3, 0.91**0.5, 0.0])
        return torch.maximum(points @ one - code[..., 0], points @ two - code[..., 1])


def test_a_kink_moves_as_the_pieces_beside_it_do() -> None:
    origins = torch.tensor([[-3.0, 0.05, 0.0], [-3.0, 0.1, 0.2], [-3.0, -0.2, 0.1]])
    ahead = torch.tensor([[1.0, 0.0, 0.0]]).expand(3, 3)
    rays = Rays.through_unit_sphere(origins, ahead, torch.ones(3), torch.full((3,), 1e-3))
    code = torch.tensor([-0.3, -0.25], requires_grad=True)
    wedge = Wedge(code)
    trace = march(wedge, rays, torch.full((3,), 1e-6), relaxation=1.0, steps=100)
    assert not trace.hit.any()
    found = smallest_value(wedge, code, rays, trace.distance, trace.value)
    # Where -0.8 x + 0.6 y + 0.3 = 0.3 x + 0.91^0.5 y + 0.25.
    y = origins[:, 1]
    x = ((0.6 - 0.91**0.5) * y + 0.05) / 1.1
    torch.testing.assert_close(found.detach(), 0.3 * x + 0.91**0.5 * y + 0.25, atol=1e-4, rtol=0)
    (slope,) = torch.autograd.grad(found.sum(), code)
    torch.testing.assert_close(slope, -3 * torch.tensor([0.3, 0.8]) / 1.1)


def test_the_papers_gradient_points_along_but_is_too_long() -> None:
    at = start(SPHERE)
    lengths = {}
    for method in METHODS:

        def loss(field: ClosedForm, unknowns: Unknowns, method: str = method) -> torch.Tensor:
            rays, _ = rays_of(unknowns)
            trace = march(field, rays.detach(), rays.threshold().detach())
            return surface_distance(field, unknowns["code"], rays[trace.hit], trace.distance[trace.hit], method).sum()

        lengths[method] = analytic(loss, Sphere, at)["code"]
    assert lengths["implicit"].sign() == lengths["dist"].sign()
    assert lengths["dist"].abs() > 2 * lengths["implicit"].abs()


def test_rays_beside_the_unit_sphere_pull_towards_it() -> None:
    K = torch.tensor([[20.0, 0, SIZE / 2], [0, 20, SIZE / 2], [0, 0, 1]])[None]
    cameras = Cameras(K, torch.eye(3)[None], torch.tensor([[0.0, 0, 3]]))
    step = torch.zeros(7, requires_grad=True)
    rays = Raster(cameras, 0, identity().retract(step), SIZE, SIZE).rays()
    sphere = Sphere(SPHERE)
    trace = march(sphere, rays.detach(), rays.threshold().detach())
    beside = rays.near >= rays.far
    assert beside.any() and not trace.hit[beside].any()
    along = -(rays.origins * rays.directions).sum(1)
    passing = rays.at(along).norm(dim=1) - 1
    nearest = smallest_value(sphere, SPHERE, rays[beside], trace.distance[beside], trace.value[beside])
    assert torch.allclose(nearest, passing[beside], atol=1e-9)
    assert torch.allclose(at_fixed(sphere, rays, trace.distance).value[beside], passing[beside], atol=1e-9)
    # The object can only grow towards them.
    nearest.sum().backward()
    assert step.grad is not None and step.grad[0] < 0


def test_points_outside_the_unit_sphere_are_asked_on_it() -> None:
    sphere = Sphere(SPHERE)
    origins = torch.tensor([[0.1, 0.0, -3.0]]).expand(4, 3)
    ahead = torch.tensor([[0.0, 0.0, 1.0]]).expand(4, 3)
    rays = Rays.through_unit_sphere(origins, ahead, torch.ones(4), torch.ones(4))
    distance = torch.tensor([1.0, 2.5, 3.5, 5.0])
    points = rays.at(distance)
    beyond = points.norm(dim=1).clamp(min=1)
    on_sphere = points / beyond[:, None]
    expected = sphere(on_sphere, "truth") + beyond - 1
    found = at_fixed(sphere, rays, distance)
    assert torch.allclose(found.value, expected)

    def value(moved: torch.Tensor) -> torch.Tensor:
        beyond = moved.norm(dim=1).clamp(min=1)
        return sphere(moved / beyond[:, None], "truth") + beyond - 1

    steps = 1e-6 * torch.eye(3)
    slopes = torch.stack([(value(points + step) - value(points - step)) / 2e-6 for step in steps], 1)
    assert torch.allclose(found.d_point, slopes, atol=1e-6)


def test_a_grazing_ray_has_no_wild_derivative() -> None:
    at = start(SPHERE)
    rays, _ = rays_of(at)
    closest = rays.at(-(rays.origins * rays.directions).sum(1)).norm(dim=1)
    grazed = int((closest - 0.599).abs().argmin())
    one = rays[torch.tensor([grazed])]
    code = (closest[grazed : grazed + 1] + 1e-5).detach().requires_grad_()
    sphere = Sphere(code)
    trace = march(sphere, one, torch.full_like(one.near, 1e-8), steps=3000, relaxation=1.0)
    assert trace.hit.all()
    surface_distance(sphere, code, one, trace.distance).sum().backward()
    assert code.grad is not None and code.grad.abs() < 1 / 0.05


def test_unknown_gradients_are_refused_by_name() -> None:
    at = start(SPHERE)
    rays, _ = rays_of(at)
    trace = march(Sphere(SPHERE), rays, rays.threshold())
    with pytest.raises(ValueError, match=r"“exact”.*implicit"):
        surface_distance(Sphere(SPHERE), SPHERE, rays, trace.distance, "exact")
