"""The wall between the two sides as the interpreter meets it, and the zip in a fresh Blender.

Who may import whom is said by the import contracts in pyproject.toml; here each side runs without the other's packages.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from blender_tests.support.stage import ROOT, run_blender

BLOCK = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(f"{name} is behind the wall")
sys.meta_path.insert(0, Wall())
"""
HEAVY = ("torch", "igl", "safetensors", "scipy")
BLENDER = ("bpy", "bmesh", "mathutils", "bpy_extras")


def modules(folder: Path, root: Path) -> list[str]:
    """Every module in a folder by its dotted name, read from the files."""
    names = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[-1] != "__main__":
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def import_all(python: str, names: list[str], blocked: tuple[str, ...], folder: Path, after: str = "") -> None:
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); BLOCKED = {blocked!r}\n{BLOCK}\n"
    code += "".join(f"import {name}\n" for name in names) + after
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_blenders_side_needs_no_torch():
    addon = ROOT / "dist_addon"
    names = [n for n in modules(addon, ROOT) if not n.startswith("dist_addon.worker.")]
    assert {"dist_addon.api", "dist_addon.operators.running", "dist_addon.scene.cameras"} <= set(names)
    names.append("dist_addon.worker.dist_engine.protocol")
    after = "import bpy, dist_addon\ndist_addon.register()\ndist_addon.unregister()\n"
    import_all(sys.executable, names, HEAVY, ROOT, after)


def test_the_engine_needs_no_blender(python):
    worker = ROOT / "dist_addon" / "worker"
    names = modules(worker / "dist_engine", worker)
    assert "dist_engine.protocol" in names
    import_all(python, names, BLENDER, worker)


def test_importing_the_package_loads_nothing_else():
    code = "import sys, dist_addon; print([n for n in sys.modules if n.startswith(('dist_addon.', 'numpy', 'bpy'))])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_zip_holds_the_add_on_and_nothing_else(zip_path):
    names = set(zipfile.ZipFile(zip_path).namelist())
    assert {"blender_manifest.toml", "LICENSE", "__init__.py", "worker/__main__.py"} <= names
    python_files = {p.relative_to(ROOT / "dist_addon").as_posix() for p in (ROOT / "dist_addon").rglob("*.py")}
    assert python_files <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("blender_tests", "tools"))]


INSTALL = """
import sys, bpy
commands = []
real = bpy.utils.register_cli_command
bpy.utils.register_cli_command = lambda name, function: (commands.append((name, function)), real(name, function))[1]
bpy.ops.extensions.package_install_files(filepath=sys.argv[1], repo="user_default", enable_on_install=True)
import importlib
package = importlib.import_module("bl_ext.user_default.dist_addon")
from bl_ext.user_default.dist_addon import api, preferences, registration
assert all(cls.is_registered for cls in registration.CLASSES)
assert bpy.context.preferences.addons["bl_ext.user_default.dist_addon"].preferences.device == "auto"
bpy.context.preferences.addons["bl_ext.user_default.dist_addon"].preferences.device = "cpu"
assert preferences.device() == "cpu"
assert [name for name, _ in commands] == ["dist"] and commands[0][1](["--help"]) == 0
assert bpy.context.scene.dist.quality == "normal"
folder = api.new_job_folder()
assert folder.is_dir() and sys.argv[2] in str(folder), folder
assert not {"torch", "igl", "safetensors", "scipy"} & set(sys.modules)
bpy.ops.preferences.addon_disable(module="bl_ext.user_default.dist_addon")
assert not hasattr(bpy.types.Scene, "dist")
print("ALL WELL")
"""


@pytest.mark.slow
def test_the_zip_installs_in_a_fresh_blender(zip_path, tmp_path):
    resources = tmp_path / "resources"
    resources.mkdir()
    environment = {"BLENDER_USER_RESOURCES": str(resources), "PYTHONPATH": ""}
    # Away from the repository, so that nothing of it is found by chance.
    child = run_blender(INSTALL, str(zip_path), str(resources), env=environment, cwd=tmp_path)
    shown, _ = child.communicate(timeout=120)
    assert child.returncode == 0 and "ALL WELL" in shown, shown
    assert any(resources.iterdir())
