"""How well a shape explains each view, against distances and angles that are known."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from dist_engine.cameras import Cameras, Similarity
from dist_engine.meshing import extract_mesh
from dist_engine.observations import Observations
from dist_engine.observations.agreement import disagreeing
from dist_engine.observations.normals import with_tangents
from dist_engine.observations.observation import Estimate
from dist_engine.prior import Prior
from dist_engine.rays import Rays
from dist_engine.reference.gradients import normals
from dist_engine.shapes.latent import LatentKind
from dist_engine.state import State, Unknowns
from dist_engine.tracing.march import march

from blender_tests.support.views import PRIOR, SIZE, orbit, request

SCALE, TURN = 2.0, 10.0


def all_rays(cameras: Cameras, view: int, place: Similarity) -> Rays:
    """Rays through all pixels of a view."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    pixels = torch.stack([x.flatten(), y.flatten()], 1) + 0.5
    return cameras.rays(torch.full((len(pixels),), view), pixels, place)


@pytest.mark.slow
def test_each_kind_of_observation_tells_how_far_it_is_off() -> None:
    prior, views = Prior.load(PRIOR), orbit(3)
    place = Similarity(torch.tensor(SCALE), torch.eye(3), torch.zeros(3))
    for view in views:
        view.world_to_camera[:, 3] *= SCALE
    code = prior.codes[20]
    field = prior.decoder.field(code)
    mesh = extract_mesh(field, 128)
    cameras = Cameras.from_views(views, torch.device("cpu"))

    depths = np.full((3, SIZE, SIZE), np.nan, np.float32)
    seen = np.full((3, SIZE, SIZE, 3), np.nan, np.float32)
    for index in range(3):
        rays = all_rays(cameras, index, place)
        trace = march(field, rays, 1e-5 + 0 * rays.near, steps=300, relaxation=1.0)
        hit = trace.hit.reshape(SIZE, SIZE)
        depths[index][hit] = (SCALE * trace.distance * rays.cosine)[trace.hit]
        there = normals(field, code, rays.at(trace.distance)[trace.hit]).detach() @ cameras.rotation[index].T
        # The second camera's normals are all turned by the same angle, each about some axis along its surface.
        angle = np.radians(TURN * (index == 1))
        seen[index][hit] = np.cos(angle) * there + np.sin(angle) * with_tangents(there)[:, 0]
    # The third camera's depths are too far.
    depths[2] += 0.3

    # Points above the surface by as much as their view's number says, and by more where none sees them.
    above = SCALE * torch.tensor([0.01, 0.02, 0.03, 0.05])
    chosen = torch.arange(0, len(mesh.vertices), 37)
    which = torch.arange(len(chosen)) % 4
    # Sharp concave corners would be nearer to another side.
    points = place.to_world(mesh.vertices[chosen] + (above[which] / SCALE)[:, None] * mesh.normals[chosen])
    job = replace(
        request(np.zeros((3, SIZE, SIZE), np.uint8), views),
        masked=np.zeros(3, bool),
        depths=depths,
        normals=seen,
        points=points.double().numpy(),
        visibility=(which[:, None] == torch.arange(3)).numpy(),
    )
    observations = Observations(job, torch.device("cpu"), torch.Generator().manual_seed(0))
    state = State.start(LatentKind(prior).of(code), place, cameras)
    told = observations.residuals(Estimate(state, state.shape.field(Counter()), Unknowns()), mesh)
    names = [view.name for view in views]
    assert told.keys() == {"depths", "points", "normals"}
    assert list(told["depths"]) == list(told["normals"]) == names and list(told["points"]) == [*names, ""]
    assert max(told["depths"][name] for name in names[:2]) < 0.005
    # The surface is slanted: nearer than along the camera's axis. Between its vertices it is hardly nearer than these.
    rays = all_rays(cameras, 2, place)
    known = np.isfinite(depths[2]).flatten()
    far = place.to_world(rays.at(torch.as_tensor(depths[2].flatten()) / rays.cosine / SCALE))[known]
    nearest = torch.cdist(far, place.to_world(mesh.vertices)).amin(1)
    assert told["depths"][names[2]] == pytest.approx(float(nearest.median()), rel=0.1)
    assert list(told["points"].values()) == pytest.approx(above.tolist(), rel=0.05)
    assert told["normals"][names[1]] == pytest.approx(TURN, abs=1)
    # Where the traces end is not quite the same place, and the surface is rough.
    assert max(told["normals"][names[0]], told["normals"][names[2]]) < 2


@pytest.mark.slow
def test_what_was_not_observed_has_no_residual() -> None:
    prior, views = Prior.load(PRIOR), orbit(2)
    job = request(np.full((2, SIZE, SIZE), 255, np.uint8), views)
    observations = Observations(job, torch.device("cpu"), torch.Generator().manual_seed(0))
    place = Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))
    state = State.start(LatentKind(prior).of(prior.codes[20]), place, observations.cameras)
    field = state.shape.field(Counter())
    assert observations.residuals(Estimate(state, field, Unknowns()), extract_mesh(field, 64)) == {}


def test_a_wrong_mask_stands_out() -> None:
    good = {f"camera {n}": 0.95 + 0.003 * (n % 4) for n in range(7)}
    assert disagreeing(good) == [] and disagreeing({}) == []
    assert disagreeing(good | {"wrong": 0.6, "poor": 0.93}) == ["wrong"]
    # Nothing is wrong with a view that fits better than the others.
    assert disagreeing({name: value - 0.3 for name, value in good.items()} | {"right": 0.99}) == []
