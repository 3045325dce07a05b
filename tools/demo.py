"""Reconstruct a thing from pictures, end to end: ``python3 tools/demo.py``.

Sets everything up by itself, then builds a Blender scene (without a window): a thing, cameras around it, their
pictures. The thing is taken out, the add-on reconstructs it from the pictures, and the result is measured against it.
Without options it is a table, by its prior, whose shape is then freed; ``--mesh`` takes a mesh of any kind, and
``--photos`` a folder of photographs with a file of their cameras: neither needs a prior.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import environment

if TYPE_CHECKING:
    import numpy as np

    from dist_addon.jobs import Progress

SEED = 10_002  # the priors are trained on seeds below 10,000
INTERRUPTED = 130
MONKEY = "monkey"
ENDINGS = (".obj", ".off", ".ply", ".stl", ".glb")


def main() -> int:
    """Read the command line; set up and start again inside, or, there, do the work. Return the exit code."""
    options = _read_command_line()
    try:
        if not options.inside:
            python = environment.ensure("main")
            again = ["-I", "-u", __file__, *sys.argv[1:], "--inside", repr(options.began)]
            return environment.run(python, again, DIST_PYTHON=str(python))
        return demo(options)
    except environment.SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return INTERRUPTED


def demo(options: argparse.Namespace) -> int:
    """Do the work, inside the environment; return the exit code."""
    stages = {"set up": time.time() - options.began}
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    _send_blenders_chatter_to(out / "blender.log")

    import bpy

    import dist_addon
    from dist_addon import api
    from dist_addon.worker.dist_engine.protocol import ANYTHING, RequestError, read_task
    from tools import demo_report, demo_scene

    prior = options.prior or (ANYTHING if options.mesh or options.photos else "table")
    try:
        if options.photos:
            with _stage("photographs", stages):
                scene = demo_scene.of_photographs(options.photos, out / "masks", options.up)
            print(f"{options.photos}: {len(scene.pictures.objects)} of {len(scene.cameras)} are fitted to", flush=True)
        else:
            vertices, faces = _thing(options)
            print(f"{options.mesh or f'Table {options.seed}'}: {len(faces):,} triangles", flush=True)
            with _stage("pictures", stages):
                scene = demo_scene.build(vertices, faces, out / "pictures", options.up or "+z", options.seed)
        if prior == ANYTHING:
            scene = demo_scene.without_bounds(scene)
        with contextlib.suppress(RequestError):
            read_task(out / "job")  # of the last run: nothing may be taken from it
            shutil.rmtree(out / "job")
        dist_addon.register()
        demo_scene.choose_inputs(scene, prior, options.quality, options.freedom, colours=True)
        bar = Bar()
        with _stage("reconstruction", stages):
            try:
                made = api.reconstruct(
                    cameras=scene.pictures,
                    bounds=scene.bounds,
                    masks=scene.masks,
                    colours=True,
                    prior=prior,
                    freedom=options.freedom,
                    quality=options.quality,
                    folder=out / "job",
                    progress=bar.show,
                )
            finally:
                bar.close()
        with _stage("evaluation", stages):
            found = demo_report.evaluate(scene, made, out / "renders")
            demo_report.draw_comparison(found.views, out / "comparison.png")
        with _stage("saving", stages), contextlib.redirect_stdout(io.StringIO()):
            demo_report.export(made.object, out / "result.ply")
            demo_scene.save(out / "demo.blend", scene)
    except (RequestError, ValueError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1

    queries = made.report["queries"]
    numbers = {
        "iou_fit": found.iou(held_back=False),
        "iou_heldout": found.iou(held_back=True),
        "chamfer_x1000": found.chamfer,
        "chamfer_prior": found.chamfer_prior,
        "queries": sum(queries.values()),
        "seconds_fit": stages["reconstruction"],
        "seconds_total": time.time() - options.began,
        "iou_per_view": {view.name: view.iou for view in found.views},
        "queries_per_purpose": queries,
        "seconds_per_stage": {**stages, "worker": made.report["seconds"]},
        "blender": bpy.app.version_string,
        "device": made.report["device"],
    }
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    _print_table(numbers, out)
    return 0


class Bar:
    """A progress bar: one line that is drawn over on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self.drawn = ""
        self.stage = ""
        self.next_line = 0.0

    def show(self, progress: Progress) -> None:
        """Draw a job's state."""
        new_stage = progress.stage != self.stage
        self.stage = progress.stage
        if self.live:
            filled = round(24 * progress.factor)
            line = f"  [{'█' * filled}{'░' * (24 - filled)}] {progress}"
            print("\r" + line.ljust(len(self.drawn)), end="", flush=True)
            self.drawn = line
        elif new_stage or time.monotonic() > self.next_line:
            line = f"  {progress.factor:4.0%}  {progress}"
            if line != self.drawn:
                print(line, flush=True)
            self.drawn = line
            self.next_line = time.monotonic() + 15

    def close(self) -> None:
        """Leave the last line as it is and go on below it."""
        if self.live and self.drawn:
            print(flush=True)


def _read_command_line() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--mesh",
        type=Path,
        metavar="FILE",
        help=f"reconstruct this mesh instead of a table ({', '.join(ENDINGS)}); {MONKEY}: Blender's monkey",
    )
    what.add_argument(
        "--photos",
        type=Path,
        metavar="DIR",
        help="reconstruct the thing of these photographs: cut out, or before a dark, plain ground, with a file of "
        "their cameras; every fourth is held back",
    )
    axes = [sign + axis for axis in "xyz" for sign in "+-"]
    parser.add_argument(
        "--up", choices=axes, help="which axis is up, as in --up=-z: the mesh's (default: +z), or the cameras' world's"
    )
    parser.add_argument("--out", type=Path, default=environment.ROOT / "demo_out", help="folder for what is made")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--seed", type=int, default=SEED, help="which table, and which cameras")
    parser.add_argument(
        "--prior",
        help="a built-in shape prior's name, or a .safetensors file; anything: none (default: table for the table, "
        "else anything)",
    )
    parser.add_argument(
        "--freedom",
        default="some",
        choices=["none", "some", "full"],
        help="how far the surface may leave the prior's shape",
    )
    parser.add_argument("--quality", default="normal", choices=["preview", "normal", "fine"])
    # Set when the program has started itself again inside the environment: when it first began.
    parser.add_argument("--inside", type=float, help=argparse.SUPPRESS)
    # "--up -z" would read as an option of its own.
    words = sys.argv[1:]
    for i in range(len(words) - 1):
        if words[i] == "--up" and words[i + 1] in axes:
            words[i : i + 2] = ["--up=" + words[i + 1]]
            break
    options = parser.parse_args(words)
    options.began = options.inside or time.time()
    if options.mesh and str(options.mesh) != MONKEY:
        if options.mesh.suffix.lower() not in ENDINGS:
            parser.error(f"{options.mesh}: the mesh's name must end in one of {', '.join(ENDINGS)}")
        if not options.mesh.is_file():
            parser.error(f"{options.mesh}: there is no such file")
    if options.photos and not options.photos.is_dir():
        parser.error(f"{options.photos}: there is no such folder")
    return options


def _thing(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N, 3) and triangles (M, 3) of what is to be photographed."""
    if options.mesh is None:
        from tools.generators import tables

        return tables.make_table(options.seed)
    if str(options.mesh) == MONKEY:
        from tools import demo_scene

        return demo_scene.monkey()
    from dist_addon.worker.dist_engine.training.meshes import read_mesh

    return read_mesh(options.mesh)


def _send_blenders_chatter_to(path: Path) -> None:
    """Let Python's own output alone have the terminal; Blender's C code prints a line a picture."""
    sys.stdout.flush()
    terminal = os.dup(1)
    with path.open("wb") as log:
        os.dup2(log.fileno(), 1)
    sys.stdout = os.fdopen(terminal, "w", encoding="utf-8", errors="replace", buffering=1)


@contextlib.contextmanager
def _stage(name: str, stages: dict[str, float]) -> Any:
    began = time.monotonic()
    print(f"{name.capitalize()} …", flush=True)
    yield
    stages[name] = time.monotonic() - began


def _print_table(numbers: dict[str, Any], out: Path) -> None:
    seconds = numbers["seconds_per_stage"]
    worker = seconds["worker"]
    measures = [
        ("Silhouette IoU, the views fitted to", "iou_fit", ".4f"),
        ("Silhouette IoU, views held back", "iou_heldout", ".4f"),
        ("Chamfer distance x 1000", "chamfer_x1000", ".3f"),
        ("    of the prior's shape alone", "chamfer_prior", ".3f"),
        ("Decoder queries", "queries", ",d"),
    ]
    rows = [(label, format(numbers[key], form)) for label, key, form in measures if numbers[key]]
    rows += [(f"Seconds, {name}", f"{seconds[name]:.1f}") for name in seconds if name != "worker"]
    at = next(i for i, row in enumerate(rows) if row[0] == "Seconds, reconstruction") + 1
    rows[at:at] = [(f"    {name}", f"{took:.1f}") for name, took in worker.items()]
    rows.append(("Seconds in all", f"{numbers['seconds_total']:.1f}"))
    width = max(len(label) for label, _ in rows)
    print()
    for label, value in rows:
        print(f"{label:<{width}}  {value:>12}")
    print(f"\nWritten to {out}: comparison.png, demo.blend, result.ply")


if __name__ == "__main__":
    sys.exit(main())
