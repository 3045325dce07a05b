"""Damaged and hostile priors and checkpoints: each is refused by name, with the remedy, in little time and memory.

One interpreter opens all of them, one after another, and takes the time and the peak of memory (as Linux counts it) of
each.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dist_engine.official import load_official
from dist_engine.prior import Prior, PriorError

from blender_tests.support.hostile_checkpoints import FOLDERS, good_codes, good_folder, saved
from blender_tests.support.hostile_priors import LATENT, PRIORS, flip, good_prior, raw

ENGINE = Path(__file__).resolve().parents[2] / "dist_addon" / "worker"
SECONDS, MEBIBYTES = 1.0, 200
MEASURE = """
import json, sys, time
from pathlib import Path
from dist_engine.official import load_official
from dist_engine.prior import Prior

def mebibytes(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what + ":"))

for path in sorted(Path(sys.argv[1]).iterdir()):
    Path("/proc/self/clear_refs").write_text("5")
    memory, begin, kind, message = mebibytes("VmRSS"), time.process_time(), "", ""
    try:
        (Prior.load if path.suffix == ".safetensors" else load_official)(path)
    except BaseException as error:
        kind, message = type(error).__name__, str(error)
    taken = {"seconds": time.process_time() - begin, "mebibytes": mebibytes("VmHWM") - memory}
    print(json.dumps([path.name, {"kind": kind, "message": message} | taken]), flush=True)
"""


# Each file is read in a process that measures it.
pytestmark = pytest.mark.slow

GOOD = {"good.safetensors": raw(lambda content: content), "good": good_folder}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of each file, by its name."""
    home = tmp_path_factory.mktemp("hostile")
    folder = home / "cases"
    folder.mkdir()
    cases = {f"{name}.safetensors": case[0] for name, case in PRIORS.items()}
    for name, write in (cases | {name: case[0] for name, case in FOLDERS.items()} | GOOD).items():
        write(folder / name)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(ENGINE), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert not (home / "ran").exists()
    pickle.loads((folder / "code to run in a pickle" / "ModelParameters" / "latest.pth").read_bytes())
    assert (home / "ran").exists(), "the trap is none"
    shutil.rmtree(folder)
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", list(GOOD))
def test_what_the_cases_start_from_loads(name: str, outcome: dict[str, dict[str, Any]]) -> None:
    assert outcome[name]["kind"] == "", outcome[name]["message"]


@pytest.mark.parametrize("name", [f"{name}.safetensors" for name in PRIORS] + list(FOLDERS))
def test_hostile_file_is_refused(name: str, outcome: dict[str, dict[str, Any]]) -> None:
    reason = (FOLDERS.get(name) or PRIORS[name.removesuffix(".safetensors")])[1]
    found = outcome[name]
    assert found["kind"] == "PriorError", found
    message = found["message"]
    assert re.search(reason, message), message
    assert re.search(rf"/{re.escape(name)}.* cannot be used: \S.*\. (Choose|Correct|Rename) .*\.$", message), message
    assert message.isprintable() and len(message) < 1000
    assert found["seconds"] < SECONDS and found["mebibytes"] < MEBIBYTES, found


def test_any_flipped_bit_of_a_prior_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "thing.safetensors"
    content = good_prior()
    for bit in random.Random(0).sample(range(8 * len(content)), 1000):
        path.write_bytes(flip(bit)(content))
        with pytest.raises(PriorError, match=r"thing\.safetensors"):
            Prior.load(path)


def test_a_prior_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "thing.safetensors"
    content = good_prior()
    for length in range(0, len(content), 5):
        path.write_bytes(content[:length])
        with pytest.raises(PriorError, match=r"thing\.safetensors"):
            Prior.load(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_flipped_bit_of_a_checkpoint_changes_a_number_at_most(tmp_path: Path, legacy: bool) -> None:
    """Zip files have checksums of their own; in the older layout nothing tells one finite number from another."""
    good_folder(tmp_path / "thing")
    path = tmp_path / "thing" / "LatentCodes" / "latest.pth"
    content = saved({"latent_codes": good_codes()}, legacy)
    for bit in random.Random(0).sample(range(8 * len(content)), 200):
        path.write_bytes(flip(bit)(content))
        try:
            found = load_official(tmp_path / "thing").codes
        except PriorError:
            continue
        assert found.shape == (3, LATENT) and (found != good_codes()).sum() <= legacy
