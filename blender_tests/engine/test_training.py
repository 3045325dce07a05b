"""Training a prior: the auto-decoder on exact distances, and the worker's task on meshes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dist_engine import checkpoint, protocol
from dist_engine import train as task
from dist_engine.decoder import Architecture, Decoder
from dist_engine.meshing import extract_mesh
from dist_engine.official import load_official
from dist_engine.prior import Prior
from dist_engine.protocol import MeshArrays, MeshFile, PriorResult, RequestError, TrainRequest
from dist_engine.reference import evaluation
from dist_engine.reporting import Cancelled
from dist_engine.training import auto_decoder
from dist_engine.training.auto_decoder import Recipe, TrainingProgress, train
from dist_engine.training.confusion import FAVOUR, separate_confused
from dist_engine.training.meshes import READERS
from dist_engine.training.sizes import SIZES
from torch import Tensor

from blender_tests.support.official_files import Plain, write

TINY = Architecture(latent=4, widths=(48, 48, 48), code_layers=(0, 1, 2), point_layers=(0, 2))
HALF_SIZES = {"cube": (0.5, 0.5, 0.5), "slab": (0.6, 0.6, 0.15), "stick": (0.15, 0.15, 0.8)}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower on two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# The auto-decoder.


def box_distance(points: Tensor, half: tuple[float, float, float]) -> Tensor:
    """Exact signed distance to a box about the origin."""
    q = points.abs() - torch.tensor(half)
    return q.clamp(min=0).norm(dim=-1) + q.amax(-1).clamp(max=0)


def box_samples(count: int = 4000) -> tuple[Tensor, Tensor]:
    """Points (3, count, 3), half of them near the surface, and their exact distances."""
    generator = torch.Generator().manual_seed(3)
    points = torch.rand(3, count, 3, generator=generator) * 2 - 1
    distances = []
    for number, half in enumerate(HALF_SIZES.values()):
        near = torch.rand(count // 2, 3, generator=generator) * 2.2 - 1.1
        points[number, ::2] = near * torch.tensor(half)
        distances.append(box_distance(points[number], half))
    return points, torch.stack(distances)


def always(_progress: TrainingProgress) -> bool:
    return True


def weights(made: tuple[torch.nn.Module, Tensor]) -> list[Tensor]:
    return [*made[0].state_dict().values(), made[1]]


@pytest.mark.slow
def test_codes_hold_their_shapes(tmp_path: Path) -> None:
    points, distances = box_samples()
    told: list[TrainingProgress] = []
    decoder, codes = train(
        TINY, points, distances, Recipe(steps=500), tmp_path / "c", lambda p: bool(told.append(p)) or True
    )
    assert codes.shape == (3, 4)
    grid = torch.stack(torch.meshgrid(*[torch.linspace(-0.95, 0.95, 24)] * 3, indexing="ij"), -1).reshape(-1, 3)
    for code, half in zip(codes, HALF_SIZES.values(), strict=True):
        inside, true = decoder.field(code)(grid, "test") < 0, box_distance(grid, half) < 0
        assert (inside & true).sum() / (inside | true).sum() > 0.85
    assert told[-1].step == 500 and told[-1].seconds_left == 0
    assert told[-1].loss < 0.01


def test_a_seed_fixes_the_weights(tmp_path: Path) -> None:
    points, distances = box_samples()
    made = [
        weights(train(TINY, points, distances, Recipe(steps=40, seed=seed), tmp_path / str(run), always))
        for run, seed in enumerate((0, 0, 1))
    ]
    assert all(torch.equal(one, two) for one, two in zip(made[0], made[1], strict=True))
    # But for the output's bias, which is always the same.
    assert sum(torch.equal(one, two) for one, two in zip(made[0], made[2], strict=True)) == 1


def test_a_training_that_goes_on_ends_as_if_it_had_not_stopped(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(auto_decoder, "REPORT_EVERY", 0.0)
    points, distances = box_samples()
    straight = weights(train(TINY, points, distances, Recipe(steps=60), tmp_path / "straight", always))
    train(TINY, points, distances, Recipe(steps=60), tmp_path / "stopped", lambda p: p.step < 25)
    seen: list[int] = []
    again = train(
        TINY, points, distances, Recipe(steps=60), tmp_path / "stopped", lambda p: seen.append(p.step) is None
    )
    assert seen == list(range(26, 61))
    assert all(torch.equal(one, two) for one, two in zip(straight, weights(again), strict=True))


@pytest.mark.parametrize("other", ["seed", "steps", "samples", "damaged"])
def test_another_trainings_checkpoint_is_left_alone(tmp_path: Path, monkeypatch, other: str) -> None:
    monkeypatch.setattr(auto_decoder, "REPORT_EVERY", 0.0)
    points, distances = box_samples()
    train(TINY, points, distances, Recipe(steps=20), tmp_path / "c", lambda p: p.step < 10)
    recipe = Recipe(steps=21 if other == "steps" else 20, seed=int(other == "seed"))
    if other == "samples":
        distances = distances + 0.01
    if other == "damaged":
        content = (tmp_path / "c").read_bytes()
        (tmp_path / "c").write_bytes(content[: len(content) // 2])
    seen: list[int] = []
    train(TINY, points, distances, recipe, tmp_path / "c", lambda p: seen.append(p.step) is None)
    assert seen[0] == 1


def test_what_a_symmetric_decoder_confuses_is_separate_confused() -> None:
    generator = torch.Generator().manual_seed(0)
    # Boxes, every other one on the left, and a decoder that does not see left and right.
    points = torch.rand(40, 3000, 3, generator=generator) * 1.6 - 0.8
    side = torch.ones(40)
    side[1::2] = -1
    there = points - 0.3 * side[:, None, None] * torch.tensor([1.0, 0, 0])
    distances = torch.stack([box_distance(p, (0.3, 0.2, 0.2)) for p in there])
    distances[:10] += 0.3
    decoder, codes = Decoder(replace(TINY, latent=16)), torch.randn(40, 16, generator=generator)
    # As codes are that were trained: along some directions they hardly differ.
    codes[:, 8:] *= 0.1
    decoder.initialise(generator)
    for layer in decoder.parts():
        if "point" in layer:
            layer["point"].data[:, 0] = 0
    before = [weight.clone() for weight in weights((decoder, codes))]
    shaken, moved, blame = separate_confused(decoder, codes, points, distances, generator)
    assert all(torch.equal(*pair) for pair in zip(weights((decoder, codes)), before, strict=True))

    def separable(some: Tensor) -> float:
        which = torch.linalg.lstsq(torch.cat([some, torch.ones(40, 1)], 1), side[:, None]).solution
        return float(((torch.cat([some, torch.ones(40, 1)], 1) @ which)[:, 0].sign() == side).float().mean())

    assert separable(codes) < 0.95 and separable(moved) == 1.0
    assert shaken.parts()[0]["point"][:, 0].abs().max() > 0
    assert torch.equal(shaken.parts()[1]["hidden"], decoder.parts()[1]["hidden"])
    assert float(blame.min()) == 1 and float(blame.max()) <= FAVOUR and blame[:10].mean() > blame[10:].mean()


@pytest.mark.slow
def test_gross_errors_are_rarer_where_they_count_more(tmp_path: Path) -> None:
    points, distances = box_samples()
    worst = []
    for gross in (0.0, 0.005):
        decoder, codes = train(TINY, points, distances, Recipe(steps=200, gross=gross), tmp_path / str(gross), always)
        with torch.no_grad():
            off = (decoder(points, codes) - auto_decoder.taught(distances)).abs()
        worst.append(float(off.quantile(0.99)))
    assert worst[1] < 0.9 * worst[0]


@pytest.mark.slow
def test_a_strut_is_missed_less_where_the_wrong_side_counts_more(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    # One sample in a hundred is in the strut, under a slab.
    middle, half = torch.tensor([0, 0, -0.55]), (0.03, 0.03, 0.35)
    within = (torch.rand(60, 3, generator=generator) * 2 - 1) * torch.tensor(half) + middle
    points = torch.cat([torch.rand(6000, 3, generator=generator) * 2 - 1, within])[None]
    distances = torch.minimum(box_distance(points, (0.5, 0.5, 0.2)), box_distance(points - middle, half))
    missed = []
    for name, recipe in (("plain", Recipe()), ("crossed", Recipe(crossed=8.0)), ("missing", Recipe(missing=8.0))):
        decoder, codes = train(TINY, points, distances, replace(recipe, steps=200), tmp_path / name, always)
        with torch.no_grad():
            missed.append(int((decoder(points, codes)[0, -60:] > 0).sum()))
    assert max(missed[1:]) < 0.6 * missed[0]


def test_a_training_that_goes_astray_says_so(tmp_path: Path) -> None:
    points, distances = box_samples()
    with pytest.raises(ValueError, match="another seed"):
        train(TINY, points, distances * math.inf, Recipe(steps=5), tmp_path / "c", always)
    assert not (tmp_path / "c").exists()


def test_the_sizes(tmp_path: Path) -> None:
    assert tuple(SIZES) == protocol.SIZES and set(protocol.MESH_FILES) == set(READERS)
    few, many = (SIZES["small"].recipe(count, 0, 7) for count in (9, 100_000))
    assert few.steps < many.steps <= 24_000 and few.seed == 7
    assert SIZES["small"].recipe(9, 123, 0).steps == 123
    # The official network, as the reader of its checkpoints knows it, but for the widths.
    write(tmp_path, Plain([2], False, False, "none"), torch.zeros(1, 5), "none")
    small, large = load_official(tmp_path).decoder.architecture, SIZES["official"].architecture
    assert small.widths == (16, 8, 16, 16) and small.tanh == large.tanh
    assert large.widths == (512, 512, 512, 512 - 259, 512, 512, 512, 512) and large.latent == 256
    assert large.code_layers == large.point_layers == (0, 4)


# The worker's task.


def box(name: str, half: tuple[float, float, float]) -> MeshArrays:
    """A closed mesh of twelve triangles, away from the origin."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half + (5, -3, 2)
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [corner for a, b, c, d in sides for corner in ((a, b, c), (a, c, d))]
    return MeshArrays(name, corners.astype(np.float32), np.array(faces, np.int32))


def boxes() -> list[MeshArrays]:
    return [box(name, half) for name, half in HALF_SIZES.items()]


FLAT = MeshArrays("flät “1/2”", np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]]), np.int32([[0, 1, 2]]))


class Listener:
    """Stands in for the reporter; stops the work once `stop` says so of an event."""

    def __init__(self, stop: Callable[[dict], bool] = lambda _event: False) -> None:
        self.events: list[dict] = []
        self.stop, self.stopping, self.finishing = stop, False, False

    def rest(self) -> None:
        """It is never paused."""

    def event(self, event: str, **fields: object) -> None:
        assert set(fields) == protocol.EVENTS[event]
        self.events.append({"event": event, **fields})
        self.stopping = self.stopping or self.stop(self.events[-1])

    def progress(self, stage: str, step: int, steps: int, loss: float | None, seconds_left: float | None) -> None:
        if self.stopping:
            raise Cancelled
        self.event("progress", stage=stage, step=step, steps=steps, loss=loss, seconds_left=seconds_left)

    def steps(self, stage: str) -> list[int]:
        return [event["step"] for event in self.events if event.get("stage") == stage]


@pytest.fixture
def quick(monkeypatch) -> None:
    """A tiny network and few samples, so that the task takes a second or two."""
    monkeypatch.setitem(task.SIZES, "small", replace(SIZES["small"], architecture=TINY, samples=4000))
    monkeypatch.setattr(auto_decoder, "REPORT_EVERY", 0.0)


def run(folder: Path, request: TrainRequest, listener: Listener | None = None) -> tuple[PriorResult, Prior]:
    folder.mkdir(exist_ok=True)
    request.save(folder)
    task.train_prior(folder, listener or Listener())
    return PriorResult.load(folder), Prior.load(folder / protocol.PRIOR_FILE)


@pytest.mark.slow
def test_a_prior_from_meshes(quick, tmp_path: Path) -> None:
    listener = Listener()
    wanted = TrainRequest("my boxes", [*boxes(), FLAT], steps=500, licence="CC0", device="cpu", threads=1)
    result, prior = run(tmp_path / "job", wanted, listener)
    names = list(HALF_SIZES)
    assert (prior.name, prior.up, prior.front) == ("my boxes", "+z", "-y")
    assert prior.about["names"] == names == result.report["shapes"] and prior.about["licence"] == "CC0"
    for name, code, (*center, scale) in zip(names, prior.codes, prior.about["normalisation"], strict=True):
        np.testing.assert_allclose(center, (5, -3, 2), atol=1e-5)
        assert np.linalg.norm(HALF_SIZES[name]) * scale == pytest.approx(prior.radius, abs=1e-5)
        mesh = extract_mesh(prior.decoder.field(code), 64)
        true = box(name, HALF_SIZES[name])
        errors = evaluation.compare(mesh.vertices, mesh.faces, (true.vertices - center) * scale, true.faces)
        assert errors.chamfer_x1000 < 3.0
    # The mesh that has no inside is named and left out.
    (warning,) = [event["message"] for event in listener.events if event["event"] == "warning"]
    assert FLAT.name in warning and list(result.report["left_out"]) == [FLAT.name]
    assert listener.steps("sample") == [0, 1, 2, 3] and listener.steps("train")[-1] == 500
    # What Blender's side draws, and nothing left over.
    losses = np.load(tmp_path / "job" / "losses.npy")
    assert losses[-1, 0] == 500 and losses[-1, 1] < losses[0, 1] / 3
    pictures = np.load(tmp_path / "job" / "previews.npy")
    assert pictures.shape == (128, 3 * 128, 3) and pictures.dtype == np.uint8
    for number in range(3):
        # The shape is lit in the middle; the corners are the ground.
        picture = pictures[:, 128 * number : 128 * (number + 1), 0]
        assert picture[60:68, 60:68].min() > 30 and picture[[0, 0, -1, -1], [0, -1, 0, -1]].max() < 30
    assert not (tmp_path / "job" / "samples").exists()


@pytest.mark.slow
def test_a_preview_shows_the_shapes_top_and_front(quick, tmp_path: Path) -> None:
    """With up along y, a stick along y stands upright in the picture; with up along z, it lies."""
    stick = box("stick", (0.15, 0.8, 0.15))
    _, prior = run(tmp_path / "job", TrainRequest("s", [stick, *boxes()], up="+y", front="-x", steps=400, device="cpu"))
    for up, front, upright in (("+y", "-x", True), ("+z", "+y", False)):
        (picture,) = task.preview_pictures(prior.decoder, prior.codes[:1], up, front)
        lit = picture[..., 0] > 30
        rows, columns = np.nonzero(lit)
        assert (np.ptp(rows) > 1.5 * np.ptp(columns)) == upright


def test_a_cancelled_task_goes_on(quick, tmp_path: Path, monkeypatch) -> None:
    wanted = TrainRequest("b", boxes(), steps=60, device="cpu", threads=1)
    _, straight = run(tmp_path / "straight", wanted)
    stopper = Listener(lambda event: event.get("stage") == "train" and event["step"] == 20)
    with pytest.raises(Cancelled):
        run(tmp_path / "job", wanted, stopper)
    assert stopper.steps("train")[-1] == 20 and not (tmp_path / "job" / "result.json").exists()
    # Meshes are not measured twice.
    monkeypatch.setattr(task, "sample_mesh", None)
    listener = Listener()
    _, prior = run(tmp_path / "job", wanted, listener)
    assert listener.steps("train") == list(range(21, 61))
    assert torch.equal(prior.codes, straight.codes)
    losses = np.load(tmp_path / "job" / "losses.npy")
    assert losses[:, 0].tolist() == sorted(set(losses[:, 0].tolist())) and losses[0, 0] == 1


def test_a_task_cancelled_while_measuring_goes_on(quick, tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(Cancelled):
        stopper = Listener(lambda event: event.get("stage") == "sample" and event["step"] == 1)
        run(tmp_path, TrainRequest("b", boxes(), steps=5, device="cpu"), stopper)
    real, measured = task.sample_mesh, []
    monkeypatch.setattr(task, "sample_mesh", lambda *a: measured.append(a) or real(*a))
    result, _ = run(tmp_path, TrainRequest("b", boxes(), steps=5, device="cpu"))
    assert len(measured) == 1 and result.report["shapes"] == list(HALF_SIZES)


def test_too_few_usable_meshes_are_an_error(quick, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="1 of 2 meshes can be used; it takes 2") as caught:
        run(tmp_path, TrainRequest("b", [boxes()[0], FLAT], steps=5, device="cpu"))
    assert FLAT.name in str(caught.value)


def test_a_prior_says_less_of_itself_where_it_would_not_fit(quick, tmp_path: Path) -> None:
    long = [MeshArrays("é" * 60_000 + mesh.name, mesh.vertices, mesh.faces) for mesh in boxes()]
    _, prior = run(tmp_path, TrainRequest("b", long, steps=2, device="cpu"))
    assert "names" not in prior.about and prior.about["steps"] == 2


# Requests.


def write_off(path: Path, mesh: MeshArrays) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["OFF", f"{len(mesh.vertices)} {len(mesh.faces)} 0"]
    lines += [" ".join(map(str, row)) for row in mesh.vertices.tolist()]
    lines += [" ".join(map(str, [3, *row])) for row in mesh.faces.tolist()]
    path.write_text("\n".join(lines))
    return path


def test_a_request_keeps_copies_of_files(quick, tmp_path: Path) -> None:
    names = ["a b/çube.off", "a b/x/ça ira?.off", "broken.off", "sticк.off"]
    files = [MeshFile(name, tmp_path / "in" / name) for name in names]
    for file, mesh in zip(files, [*boxes()[:2], boxes()[0], boxes()[2]], strict=True):
        write_off(file.path, mesh)
    files[2].path.write_text("OFF\n9 9 0\n")
    folder = tmp_path / "job"
    folder.mkdir()
    TrainRequest("b", files, up="+y", front="-z", steps=3, device="cpu").save(folder)
    for file in files:
        file.path.unlink()
    listener = Listener()
    task.train_prior(folder, listener)
    report = PriorResult.load(folder).report
    assert report["shapes"] == [names[0], names[1], names[3]]
    assert list(report["left_out"]) == ["broken.off"] and "broken.off" in report["left_out"]["broken.off"]
    prior = Prior.load(folder / protocol.PRIOR_FILE)
    assert (prior.up, prior.front) == ("+y", "-z")


def test_large_files_stay_where_they_are(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(protocol.priors, "COPIED_BYTES", 10)
    files = [MeshFile(m.name, write_off(tmp_path / f"{m.name}.off", m)) for m in boxes()]
    (tmp_path / "job").mkdir()
    TrainRequest("b", files).save(tmp_path / "job")
    assert [m.path for m in TrainRequest.load(tmp_path / "job").meshes] == [m.path for m in files]
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["request.json"]


def test_arrays_come_back(tmp_path: Path) -> None:
    wanted = TrainRequest("b", [*boxes(), FLAT], seed=5)
    wanted.save(tmp_path)
    found = TrainRequest.load(tmp_path)
    for one, two in zip(wanted.meshes, found.meshes, strict=True):
        assert one.name == two.name
        np.testing.assert_array_equal(one.vertices, two.vertices)
        np.testing.assert_array_equal(one.faces, two.faces)
    np.save(tmp_path / "mesh_faces.npy", np.zeros((3, 3), np.int32))
    with pytest.raises(RequestError, match=r"not what request\.json says"):
        TrainRequest.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "needs a name"),
        ({"name": "../up"}, "cannot be a prior's name"),
        ({"name": "a\nb"}, "cannot be a prior's name"),
        ({"name": "CON"}, "cannot be a prior's name"),
        ({"name": "Anything"}, "which stands for no class"),
        ({"name": "x" * 101}, "at most 100"),
        ({"meshes": boxes()[:1]}, "there are 1"),
        ({"up": "+w"}, "two different axes"),
        ({"up": "-y"}, "two different axes"),
        ({"size": "huge"}, "no size “huge”"),
        ({"steps": -1}, "Steps"),
        ({"seed": -1}, "seed"),
        ({"meshes": [*boxes(), MeshArrays("odd", np.zeros((3, 2)), np.zeros((1, 3)))]}, "“odd”"),
    ],
)
def test_a_request_for_nothing_is_not_written(tmp_path: Path, changes: dict, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        TrainRequest(**{"name": "b", "meshes": boxes()} | changes).save(tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("lost", ["name", "size", "arrays"])
def test_a_request_that_lacks_something_is_refused(tmp_path: Path, lost: str) -> None:
    TrainRequest("b", boxes()).save(tmp_path)
    data = json.loads((tmp_path / "request.json").read_text())
    del data[lost]
    (tmp_path / "request.json").write_text(json.dumps(data))
    with pytest.raises(RequestError, match="lacks"):
        TrainRequest.load(tmp_path)


def test_checkpoints_keep_adams_state(tmp_path: Path) -> None:
    def make() -> tuple[dict[str, Tensor], torch.optim.Adam]:
        unknown = torch.tensor([1.0, -2.0], requires_grad=True)
        return {"x": unknown}, torch.optim.Adam([unknown], lr=0.1)

    def step(unknowns: dict[str, Tensor], optimiser: torch.optim.Adam) -> None:
        optimiser.zero_grad()
        unknowns["x"].square().sum().backward()
        optimiser.step()

    first, second = make(), make()
    for _ in range(3):
        step(*first)
    checkpoint.save(tmp_path / "c", 3, *first, "squares")
    assert checkpoint.resume(tmp_path / "c", *second, "cubes") == 0
    assert checkpoint.resume(tmp_path / "c", *second, "squares") == 3
    step(*first)
    step(*second)
    assert torch.equal(first[0]["x"], second[0]["x"])
