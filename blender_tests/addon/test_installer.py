"""The worker's own environment, made of small wheels by the test, without a network."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from blender_tests.support.stage import is_alive, wait_until
from dist_addon.jobs import JobError, check_python, find_python, installed, installer, make_plan, start_install

FAKE_TORCH = """
from types import SimpleNamespace as S
cuda = S(device_count=lambda: 2, get_device_name=lambda i: f"Card {i}")
backends = S(mps=S(is_available=lambda: False))
"""
# Never ends, and neither does what it started.
ENDLESS_TORCH = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(PLACE).write_text(str(child.pid))
time.sleep(60)
"""


def make_wheel(folder: Path, name: str, module: str, code: str = "") -> None:
    about = f"{name}-1.5.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.5-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{module}.py", code)
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")


def make_request(tmp_path: Path, torch: str = FAKE_TORCH) -> dict:
    """A request as a plan makes it, but for where the packages come from."""
    wheels = tmp_path / "wheels"
    wheels.mkdir(exist_ok=True)
    make_wheel(wheels, "torch", "torch", torch)
    others = {"libigl": "igl", "safetensors": "safetensors", "scipy": "scipy", "numpy": "numpy"}
    for name, module in others.items():
        make_wheel(wheels, name, module)
    request = make_plan("cpu").request()
    source = ["--no-index", "--find-links", str(wheels)]
    return {**request, "fetch": [["torch==1.5", *source], [f"{n}==1.5" for n in others] + source], "bytes": 1}


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "the python"


@pytest.mark.slow
def test_an_environment_is_made_and_found(tmp_path, folder, monkeypatch):
    # Half made, by someone who was interrupted: it is no environment yet.
    bin_folder = folder / "env" / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "python").symlink_to(sys.executable)
    (folder / "env" / "rest").touch()
    assert installed(folder) == ""

    job = start_install(folder, make_request(tmp_path))
    stages: list[str] = []
    job.wait(lambda event: stages.append(event.get("stage", "")))
    assert job.state == "done", job.error
    assert list(dict.fromkeys(filter(None, stages))) == ["prepare", "environment", "fetch", "unpack", "test"]
    python = installed(folder)
    assert python and not (folder / "env" / "rest").exists()
    assert "Successfully installed" in (folder / "log.txt").read_text()

    found = check_python(python, thorough=True)
    assert set(found.packages.values()) == {"1.5"} and found.devices == ["CPU", "Card 0", "Card 1"]
    assert str(found).endswith("; devices: CPU, Card 0, Card 1")
    # It comes before those that are found, but after what was chosen.
    monkeypatch.setenv("DIST_PYTHON", "/no/python")
    with pytest.raises(JobError, match="/no/python"):
        find_python(own=python)
    monkeypatch.delenv("DIST_PYTHON")
    assert find_python(own=python).path == python
    with pytest.raises(JobError, match="/other/python"):
        find_python("/other/python", own=python)


@pytest.mark.slow
def test_a_cancelled_installation_leaves_nothing(tmp_path, folder):
    place = tmp_path / "pid"
    job = start_install(folder, make_request(tmp_path, ENDLESS_TORCH.replace("PLACE", repr(str(place)))))
    wait_until(lambda: job.poll() is not None and place.exists() and place.read_text() != "", 120)
    with pytest.raises(JobError, match="already"):
        start_install(folder, {})
    job.cancel(wait=True)
    assert job.state == "cancelled" and not is_alive(job.pid)
    wait_until(lambda: not is_alive(int(place.read_text())), 2)
    assert installed(folder) == "" and not (folder / "env").exists()


def test_an_installation_ends_with_blender(tmp_path, folder):
    folder.mkdir()
    (folder / "request.json").write_text(json.dumps(make_request(tmp_path)))
    command = [sys.executable, "-I", "-u", str(installer.INSTALLER), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        wait_until((folder / "env").exists, 60)
        child.stdin.close()
        last = child.stdout.read().splitlines()[-1]
        assert child.wait(20) == 1
    assert json.loads(last)["event"] == "cancelled" and not (folder / "env").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bytes": 10**18}, "too little room"),
        ({"torch": "raise OSError('no libcudart')"}, "torch was installed, but does not load"),
    ],
)
def test_what_fails_says_why_and_leaves_nothing(tmp_path, folder, change, words):
    request = make_request(tmp_path, change.pop("torch", FAKE_TORCH))
    job = start_install(folder, {**request, **change})
    job.wait()
    assert job.state == "failed" and words in job.error and str(folder / "log.txt") in job.error
    assert installed(folder) == "" and not (folder / "env").exists()


def load_installer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("installer_main", installer.INSTALLER / "__main__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pips_lines_become_progress(capsys):
    teller = load_installer().Teller()
    for line in (
        "Collecting torch>=2.6",
        "  Downloading https://download.pytorch.org/whl/cpu/torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl (175.3 MB)",
        "Progress 50000000 of 175300000",
        "Progress 50000001 of 175300000",
        "Downloading numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (6.6 kB)",
        "Installing collected packages: mpmath, torch",
    ):
        teller(line)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [event.get("message") or (event["stage"], event["step"], event["steps"]) for event in events]
    assert told == [
        ("fetch", 0, 0),
        "Fetching torch (175.3 MB)",
        ("fetch", 50, 175),
        ("fetch", 0, 0),
        "Fetching numpy (6.6 kB)",
        ("unpack", 0, 0),
    ]


@pytest.mark.parametrize(
    ("system", "device", "capability", "index"),
    [
        ("linux", "cpu", 0.0, "https://download.pytorch.org/whl/cpu"),
        ("linux", "cuda", 9.0, "https://download.pytorch.org/whl/cu128"),
        ("linux", "cuda", 6.1, "https://download.pytorch.org/whl/cu126"),
        ("linux", "rocm", 0.0, "https://download.pytorch.org/whl/rocm6.4"),
        ("win32", "cuda", 0.0, "https://download.pytorch.org/whl/cu128"),
        ("win32", "rocm", 0.0, None),
        ("linux", "mps", 0.0, None),
        ("darwin", "mps", 0.0, ""),
        ("darwin", "cpu", 0.0, ""),
        ("darwin", "cuda", 0.0, None),
    ],
)
def test_each_device_has_its_index(monkeypatch, system, device, capability, index):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(installer.platform, "machine", lambda: "arm64")
    monkeypatch.setattr(installer, "_compute_capability", lambda: capability)
    if index is None:
        with pytest.raises(JobError, match=f"PyTorch for {device} is not made for this system"):
            make_plan(device)
    else:
        plan = make_plan(device)
        assert plan.index == index
        assert plan.request()["fetch"][0] == ["torch>=2.6,<3", *(["--index-url", index] if index else [])]


def test_an_old_mac_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(installer.platform, "machine", lambda: "x86_64")
    with pytest.raises(JobError, match="Intel"):
        make_plan()


def test_the_oldest_card_counts(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 8.6\necho 6.1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    installer._compute_capability.cache_clear()
    assert installer.detect_device() == "cuda" and make_plan().index.endswith("cu126")
    installer._compute_capability.cache_clear()
