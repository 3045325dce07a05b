"""The training of a shape prior, from request to prior file: signed distances of each mesh, then the auto-decoder."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import numpy as np
import torch
from torch import Tensor

from .cameras import Cameras, Similarity
from .decoder import Decoder
from .prior import Prior
from .protocol import (
    CHECKPOINT_FILE,
    FEWEST,
    LOSSES_FILE,
    PREVIEWS_FILE,
    PRIOR_FILE,
    MeshArrays,
    MeshFile,
    PriorResult,
    RequestError,
    Stage,
    TrainRequest,
    View,
    read_array,
    read_json,
    write_array,
    write_json,
)
from .reporting import Reporter
from .tasks import Clock, choose_device
from .tracing.march import march
from .tracing.raster import Raster, hit_normals
from .training import auto_decoder
from .training.meshes import MeshError, read_mesh
from .training.sampling import sample_mesh
from .training.sizes import SIZES

# Seconds between two looks at the shapes, or so many times what a look takes: a slow machine should train.
LOOK_EVERY, LOOK_SHARE = 20.0, 10.0
# Shapes in the preview, and pixels of each.
LOOKS, LOOK_SIZE = 4, 128


def train_prior(folder: Path, reporter: Reporter) -> None:
    """Run the request in `folder` and write the prior there.

    Raises
    ------
    RequestError
        The request cannot be used, or too few of its meshes.
    Cancelled
        The reporter was told to stop; what is done so far is kept, and the next run goes on from there.
    """
    clock = Clock()
    request = TrainRequest.load(folder)
    if request.threads:
        torch.set_num_threads(request.threads)
    device = choose_device(request.device)
    size = SIZES[request.size]
    shapes, left_out = sample_shapes(request, size.samples, folder / "samples", reporter)
    clock.lap("sample")

    samples = torch.from_numpy(np.stack([shape.samples for shape in shapes]))
    recipe = size.recipe(len(shapes), request.steps, request.seed)
    watch = _Watch(folder, reporter, recipe.steps, request)
    decoder, codes = auto_decoder.train(
        size.architecture,
        samples[..., :3].contiguous(),
        samples[..., 3].contiguous(),
        recipe,
        folder / CHECKPOINT_FILE,
        watch,
        device,
    )
    # Raises where it was told to stop.
    reporter.progress(Stage.KEEP, 0, 1, watch.loss, None)
    clock.lap("train")

    Prior(
        name=request.name,
        decoder=decoder,
        codes=codes,
        up=request.up,
        front=request.front,
        clamp=float("inf"),
        about=_origins(shapes)
        | {
            "size": request.size,
            "steps": watch.step,
            "seed": request.seed,
            "loss": watch.loss,
            "licence": request.licence,
        },
    ).save(folder / PRIOR_FILE)
    PriorResult(
        {
            "name": request.name,
            "shapes": [shape.name for shape in shapes],
            "left_out": left_out,
            "warnings": {shape.name: shape.warnings for shape in shapes if shape.warnings},
            "size": request.size,
            "steps": watch.step,
            "loss": watch.loss,
            "seconds": clock.seconds,
            "device": str(device),
        }
    ).save(folder)
    rmtree(folder / "samples", ignore_errors=True)


@dataclass(frozen=True)
class TrainingShape:
    """A mesh that a prior is trained from.

    Attributes
    ----------
    name : str
    samples : (N, 4) float32 array
        A point in the object frame and the signed distance there.
    normalisation : list of 4 float
        The mesh's centre and the scale, which carried it into the object frame.
    warnings : list of str
        What is in doubt about it.
    """

    name: str
    samples: np.ndarray
    normalisation: list[float]
    warnings: list[str]


def sample_shapes(
    request: TrainRequest, count: int, cache: Path, reporter: Reporter
) -> tuple[list[TrainingShape], dict[str, str]]:
    """Take signed distances of every mesh; those that were taken before come from `cache`.

    Returns
    -------
    shapes : list of TrainingShape
    left_out : dict of str to str
        Why, by the mesh's name.

    Raises
    ------
    RequestError
        Too few meshes could be used.
    """
    cache.mkdir(exist_ok=True)
    shapes: list[TrainingShape] = []
    left_out: dict[str, str] = {}
    began, total = time.monotonic(), len(request.meshes)
    for done, mesh in enumerate(request.meshes):
        left = (time.monotonic() - began) / done * (total - done) if done else None
        reporter.progress(Stage.SAMPLE, done, total, None, left)
        try:
            shape = _sample(mesh, count, request.seed, cache)
        except MeshError as error:
            left_out[mesh.name] = str(error)
            reporter.event("warning", message=f"“{mesh.name}” was left out. {error}")
            continue
        shapes.append(shape)
        if shape.warnings:
            reporter.event("warning", message=f"“{mesh.name}”: {' '.join(shape.warnings)}")
    if len(shapes) < FEWEST:
        reasons = [f"“{name}”: {why}" for name, why in list(left_out.items())[:3]]
        raise RequestError("\n".join([f"{len(shapes)} of {total} meshes can be used; it takes {FEWEST}.", *reasons]))
    return shapes, left_out


def _sample(mesh: MeshArrays | MeshFile, count: int, seed: int, cache: Path) -> TrainingShape:
    vertices, faces = read_mesh(mesh.path) if isinstance(mesh, MeshFile) else (mesh.vertices, mesh.faces)
    digest = hashlib.sha256(repr((vertices.shape, str(vertices.dtype), count, seed)).encode())
    digest.update(vertices.tobytes())
    digest.update(faces.tobytes())
    kept = cache / f"{digest.hexdigest()[:32]}.npy"
    # Its words come last, so where they are, the numbers are.
    words = kept.with_suffix(".json")
    if not words.exists():
        made = sample_mesh(vertices, faces, count, np.random.default_rng(seed))
        write_array(kept, np.column_stack([made.points, made.distances]))
        normalisation = [*made.normalisation.center.tolist(), float(made.normalisation.scale)]
        write_json(words, {"version": 1, "normalisation": normalisation, "warnings": list(made.report.warnings)})
    data = read_json(words)
    return TrainingShape(mesh.name, read_array(kept), data["normalisation"], data["warnings"])


def _origins(shapes: list[TrainingShape]) -> dict[str, object]:
    """What a prior says of its meshes: their names, and how each came into its frame, as (mesh - xyz) * scale."""
    found = {
        "names": [shape.name for shape in shapes],
        "normalisation": [[float(f"{number:.6g}") for number in shape.normalisation] for shape in shapes],
    }
    # The header of a prior file has room for a megabyte, with every quote escaped.
    return found if len(json.dumps(json.dumps(found))) < 900_000 else {}


class _Watch:
    """Tells how a training goes: the progress, the losses so far, and pictures of some shapes now and then."""

    def __init__(self, folder: Path, reporter: Reporter, steps: int, request: TrainRequest) -> None:
        self._folder, self._reporter, self._steps, self._request = folder, reporter, steps, request
        self._losses: list[tuple[float, float]] = []
        path = folder / LOSSES_FILE
        if path.exists():
            self._losses = [(float(step), float(loss)) for step, loss in read_array(path)]
        self._wrote = 0.0
        self._look_at = time.monotonic() + LOOK_EVERY / 4

    @property
    def step(self) -> int:
        """The last one; fewer than all where it was told to finish."""
        return int(self._losses[-1][0]) if self._losses else 0

    @property
    def loss(self) -> float | None:
        """The last one; None before the first."""
        return self._losses[-1][1] if self._losses else None

    def __call__(self, progress: auto_decoder.TrainingProgress) -> bool:
        """Take note of the progress; whether to go on."""
        if not self._wrote:
            # What an earlier run did after its last checkpoint is done again; or it was another training.
            self._losses = [pair for pair in self._losses if pair[0] < progress.step]
        self._losses.append((progress.step, progress.loss))
        self._reporter.event(
            "progress",
            stage=Stage.TRAIN,
            step=progress.step,
            steps=self._steps,
            loss=progress.loss,
            seconds_left=progress.seconds_left,
        )
        last, now = progress.step == self._steps, time.monotonic()
        if last or now - self._wrote > 2:
            write_array(self._folder / LOSSES_FILE, np.array(self._losses, np.float32))
            self._wrote = now
        # At first the field is near 0 everywhere, and rays would creep.
        if last or (now > self._look_at and progress.step > 0.02 * self._steps):
            pictures = []
            for picture in preview_pictures(progress.decoder, progress.codes, self._request.up, self._request.front):
                pictures.append(picture)
                if self._reporter.stopping:
                    return False
            write_array(self._folder / PREVIEWS_FILE, np.concatenate(pictures, axis=1))
            took = time.monotonic() - now
            self._look_at = now + max(LOOK_EVERY, LOOK_SHARE * took)
        self._reporter.rest()
        return not (self._reporter.stopping or self._reporter.finishing)


def preview_pictures(decoder: Decoder, codes: Tensor, up: str, front: str) -> Iterator[np.ndarray]:
    """Yield pictures of up to four shapes, from above their front's right: (128, 128, 3) uint8 each."""
    prior = Prior("preview", decoder, codes, up=up, front=front)
    device = codes.device
    eye = np.array([1.6, -2.6, 1.5])
    back = eye / np.linalg.norm(eye)
    right = np.cross([0.0, 0.0, 1.0], back) / np.hypot(back[0], back[1])
    rotation = np.stack([right, -np.cross(back, right), -back])
    half = LOOK_SIZE / 2
    # The unit sphere fills the picture: sin of half the angle of view is 1 / distance.
    focal = half * np.sqrt(eye @ eye - 1)
    K = np.array([[focal, 0, half], [0, focal, half], [0, 0, 1]])
    cameras = Cameras.from_views([View("preview", K, np.column_stack([rotation, -rotation @ eye]))], device)
    own = torch.as_tensor(prior.axes().T.copy(), dtype=torch.float32, device=device)
    place = Similarity(torch.ones((), device=device), own, torch.zeros(3, device=device))
    light = torch.as_tensor(back + 0.5 * right + [0, 0, 0.7], dtype=torch.float32, device=device)
    chosen = np.unique(np.linspace(0, len(codes) - 1, LOOKS).astype(int))
    for index in chosen:
        yield _shade(decoder, codes[index], cameras, place, light / light.norm())


def _shade(decoder: Decoder, code: Tensor, cameras: Cameras, place: Similarity, light: Tensor) -> np.ndarray:
    picture = Raster(cameras, 0, place, LOOK_SIZE, LOOK_SIZE)
    field, rays = decoder.field(code), picture.rays()
    # Coarse, since it takes time from the training, and plain, since young fields are no distances yet.
    trace = march(field, rays, torch.full_like(rays.near, 0.01), steps=16, relaxation=1.0)
    lit = 0.15 + 0.8 * (hit_normals(field, picture, trace) @ place.rotation.T @ light).clamp(0, 1)
    grey = torch.where(trace.hit, lit, torch.full_like(lit, 0.1)).reshape(picture.shape())
    return (255 * grey)[..., None].expand(-1, -1, 3).byte().cpu().numpy()
