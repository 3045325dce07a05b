"""Get a Blender that can open its window here, without a screen: ``python3 tools/desktop_blender.py [--blender PATH]``.

On Debian it needs nothing else, and no root where the machine allows its users namespaces: the packages of a Blender
and a virtual screen are unpacked into ``.env/desktop`` (which git ignores), from the mirror that the machine's own apt
uses. Elsewhere, give it a Blender that is there, with ``--blender`` or the variable DIST_BLENDER; Xvfb and xdotool must
be installed then.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Iterator

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import environment
from tools.environment import SetupError

FOLDER = environment.FOLDER / "desktop"
ROOT = FOLDER / "root"
SUITE = "sid"  # the only Debian whose Blender is a current one
PACKAGES = ["blender", "libgl1-mesa-dri", "python3-cattr", "python3-numpy", "python3-requests", "xdotool", "xvfb"]
# What every Debian has, as far as those need it.
BASE = ["base-files", "coreutils", "dash", "libc-bin"]
SCREEN = (1280, 800)
# Seconds that the setup may take.
LONGEST = 900
VARIABLE = "DIST_BLENDER"

# In a mount namespace of its own, whose mounts end with its last process: none can be left behind. Arguments: the root,
# folders and where they appear in it, --, the command.
ENTER = """
PATH=$PATH:/usr/sbin:/sbin
root=$1; shift
while [ "$1" != -- ]; do
    mkdir -p "$root$2" && mount --rbind "$1" "$root$2" || exit 1
    shift 2
done
shift
exec chroot "$root" "$@"
"""
NAMESPACE = ["unshare", *(["--user", "--map-root-user"] if os.geteuid() else []), "--mount", "--propagation", "private"]


class Desktop:
    """A Blender and the programs of a virtual screen.

    Attributes
    ----------
    blender : str
        The program.
    root : Path or None
        The Debian in which it is installed; None for a Blender of this machine itself.
    """

    def __init__(self, blender: str, root: Path | None = None) -> None:
        self.blender = blender
        self.root = root

    def command(self, command: list[str], shared: Path) -> list[str]:
        """Return the command that runs `command` where Blender is, and that ends with who started it.

        There, `shared` and the temporary folder have the paths that they have here, and this machine is in ``/host``.
        """
        if self.root is not None:
            command = _inside(self.root, command, (Path("/"), "/host"), (shared, str(shared)))
        return ["setpriv", "--pdeathsig", "KILL", *command]

    def python(self, python: Path, shared: Path) -> Path:
        """Return a program that runs a Python of this machine, for a Blender that may see another one.

        It is written to `shared`. Paths that the Python is given must lie in `shared` or the temporary folder.
        """
        if self.root is None:
            return python
        program = shared / "python"
        program.write_text(f'#!/bin/sh\nexec chroot /host "{python}" "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        return program

    def variables(self, home: Path) -> dict[str, str]:
        """Return the environment of a Blender that draws in software, and whose settings are in `home` alone."""
        path = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" if self.root else os.environ["PATH"]
        return {
            "PATH": path,
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "BLENDER_USER_RESOURCES": str(home),
        }


@contextlib.contextmanager
def screen(desktop: Desktop, shared: Path) -> Iterator[str]:
    """Open a virtual screen and yield its DISPLAY; what it shows is in the file ``Xvfb_screen0`` in `shared`.

    Raises
    ------
    SetupError
        It does not open; ``xvfb.log`` in `shared` says more.
    """
    numbers, told = os.pipe()
    size = "x".join(map(str, (*SCREEN, 24)))
    command = ["Xvfb", "-displayfd", str(told), "-screen", "0", size, "-fbdir", str(shared), "+extension", "GLX"]
    with (shared / "xvfb.log").open("wb") as log:
        child = subprocess.Popen(desktop.command(command, shared), stdout=log, stderr=log, pass_fds=[told])
    os.close(told)
    try:
        with os.fdopen(numbers) as stream:
            number = stream.readline().strip()  # empty when it ends
        if not number:
            raise SetupError(f"The virtual screen does not open; {shared / 'xvfb.log'} says why.")
        yield f":{number}"
    finally:
        child.terminate()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def ensure(blender: str = "") -> Desktop:
    """Find the given Blender, or make ``.env/desktop``, or find that it stands already, which takes no time.

    Parameters
    ----------
    blender : str
        A program; by default what DIST_BLENDER names, if anything.

    Raises
    ------
    SetupError
        There is none, and none can be made here; the message says why and what to do.
    """
    blender = blender or os.environ.get(VARIABLE, "")
    if blender:
        found = shutil.which(blender)
        missing = [name for name in ("Xvfb", "setpriv", "xdotool") if not shutil.which(name)]
        if not found or missing:
            lacking = f"“{blender}” is no program" if not found else f"{' and '.join(missing)} must be installed"
            raise SetupError(f"A Blender's window without a screen: {lacking}.")
        return Desktop(str(Path(found).resolve()))
    stamp = FOLDER / "stamp"
    recipe = hashlib.sha256(repr((SUITE, PACKAGES, BASE)).encode()).hexdigest()
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == recipe):
        _check_machine()
        began = time.monotonic()
        print(f"Setting up {FOLDER.relative_to(environment.ROOT)}: once, some minutes on a slow line.", flush=True)
        _remove(FOLDER)
        FOLDER.mkdir(parents=True)
        log = FOLDER.with_suffix(".log")
        with log.open("wb") as stream:
            _set_up(stream)
        stamp.write_text(recipe, encoding="utf-8")
        print(f"Ready in {time.monotonic() - began:.0f} s.", flush=True)
    return Desktop("/usr/bin/blender", ROOT)


def _check_machine() -> None:
    """Raise what stands against making a root here."""
    remedy = f"Give a Blender of yours instead, with --blender or {VARIABLE}; install Xvfb and xdotool then."
    if not sys.platform.startswith("linux"):
        raise SetupError(f"A Blender for a window without a screen is set up on Linux. {remedy}")
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    programs = ("apt-get", "apt-config", "dpkg-deb", "setpriv", "unshare", "chroot")
    missing = [name for name in programs if not shutil.which(name, path=path)]
    if missing:
        raise SetupError(f"To set up a Blender's window, {', '.join(missing)} must be there. {remedy}")
    if subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode:
        raise SetupError(f"This machine allows no mounts apart from its own: try it as root. {remedy}")
    if shutil.disk_usage(environment.ROOT).free < 2e9:
        raise SetupError(f"There are less than 2 GB free for {FOLDER}: make room. {remedy}")


def _set_up(log: IO[bytes]) -> None:
    """Unpack Blender and all that it needs into `ROOT`; no package's scripts run."""
    apt = FOLDER / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(f"deb {_mirror()} {SUITE} main\n", encoding="utf-8")
    # How packages are reached and whom apt trusts is as on this machine.
    settings = {
        "Dir::State": apt / "state",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::SourceList": apt / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "APT::Sandbox::User": "",
        "APT::Install-Recommends": "false",
    }
    command = ["apt-get", "--yes", *(f"-o{name}={value}" for name, value in settings.items())]
    _run([*command, "update"], log)
    _run([*command, "--download-only", "install", *PACKAGES, *BASE], log)
    files = sorted((apt / "cache" / "archives").glob("*.deb"), key=lambda path: not path.name.startswith("base-files_"))
    unpack = [["dpkg-deb", "--extract", str(file), str(ROOT)] for file in files]
    # The first has the links that all others are unpacked through, such as /lib.
    _run(unpack[0], log)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda each: _run(each, log), unpack[1:]))
    shutil.rmtree(apt)
    # What Debian chooses among several of a kind when it installs them.
    chosen = [
        f"/{folder.relative_to(ROOT)}\n" for name in ("blas", "lapack") for folder in ROOT.glob(f"usr/lib/*/{name}")
    ]
    (ROOT / "etc/ld.so.conf.d/chosen.conf").write_text("".join(chosen), encoding="utf-8")
    _run(_inside(ROOT, ["ldconfig"]), log)


def _mirror() -> str:
    """Return the Debian mirror that this machine's apt uses."""
    ask = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    places = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.split()
    for place in places:
        if place.rstrip("/").endswith("/debian"):
            return place
    raise SetupError(f"This machine's apt knows no mirror of Debian. Give a Blender with --blender or {VARIABLE}.")


def _inside(root: Path, command: list[str], *shared: tuple[Path, str]) -> list[str]:
    # The root's own /proc, /dev and /tmp are empty: programs in it share the machine's.
    places = [*shared, *((Path(name), name) for name in ("/proc", "/dev", "/sys", "/tmp"))]
    mounts = [str(part) for pair in places for part in pair]
    return [*NAMESPACE, "sh", "-c", ENTER, "enter", str(root), *mounts, "--", *command]


def _run(command: list[str], log: IO[bytes]) -> None:
    try:
        code = subprocess.run(command, stdout=log, stderr=log, timeout=LONGEST).returncode
        reason = f"exit code {code}"
    except subprocess.TimeoutExpired:
        code, reason = 1, f"not within {LONGEST} s"
    if code:
        raise SetupError(
            f"Blender's window could not be set up: {Path(command[0]).name}, {reason}. Check the connection to the "
            f"package mirror and run the same command again. All of it: {log.name}"
        )


def _remove(folder: Path) -> None:
    """Remove a folder, but never through something that is mounted in it."""
    mounted = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
    inside = [words.split()[1] for words in mounted.splitlines() if words.split()[1].startswith(f"{folder.resolve()}/")]
    if inside:
        raise SetupError(f"{', '.join(inside)} is mounted: unmount it first.")
    if folder.exists():
        shutil.rmtree(folder)


def main() -> int:
    """Get a Blender, from the command line, and show which; return the exit code."""
    parser = argparse.ArgumentParser(description="Get a Blender that can open its window without a screen.")
    parser.add_argument("--blender", default="", help=f"take this one (or the one that {VARIABLE} names)")
    try:
        desktop = ensure(parser.parse_args().blender)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    version = desktop.command([desktop.blender, "--version"], environment.FOLDER)
    return subprocess.run(version, timeout=60).returncode


if __name__ == "__main__":
    sys.exit(main())
