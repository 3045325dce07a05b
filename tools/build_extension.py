"""Build ``dist/dist_addon-VERSION.zip`` and check it with Blender's own program.

Runs in a Python that has bpy: ``python tools/build_extension.py [--output-dir DIR]``.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "*.part")


def blender_program() -> Path:
    """Return Blender's extension builder, found inside the bpy package without loading it."""
    spec = importlib.util.find_spec("bpy")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("This Python has no bpy: run the tool with the environment that tools/demo.py makes.")
    package = Path(spec.submodule_search_locations[0])
    programs = sorted(package.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py"))
    if not programs:
        raise SystemExit(f"The bpy in {package} has no extension builder: take bpy 4.2 or newer.")
    return programs[-1]


def build(output: Path) -> Path:
    """Stage the manifest with the add-on's files, build the zip into `output` and validate it.

    Raises
    ------
    subprocess.CalledProcessError
        Blender's program does not accept it; it has printed why.
    """
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    zip_path = output / f"{manifest['id']}-{manifest['version']}.zip"
    program = [sys.executable, "-I", str(blender_program())]
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        stage = Path(temporary) / manifest["id"]
        shutil.copytree(ROOT / "dist_addon", stage, ignore=LEFT_OUT)
        for name in ("blender_manifest.toml", "LICENSE"):
            shutil.copy2(ROOT / name, stage)
        subprocess.run(
            [*program, "build", "--source-dir", str(stage), "--output-filepath", str(zip_path)],
            check=True,
        )
    subprocess.run([*program, "validate", str(zip_path)], check=True)
    return zip_path


def main() -> None:
    """Build, from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output-dir", type=Path, default=ROOT / "dist")
    print(build(parser.parse_args().output_dir))


if __name__ == "__main__":
    main()
