"""What a running job shows: its events folded into one small state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..worker.dist_engine.protocol import Stage

# The worker's stages, and the installer's, in an artist's words.
STAGES: dict[str, str] = {
    Stage.START: "Looking for where to start",
    Stage.FIT: "Fitting the shape",
    Stage.FREE: "Fitting the surface",
    Stage.MESH: "Making the mesh",
    Stage.JUDGE: "Comparing with the pictures",
    Stage.RENDER: "Rendering the shape",
    Stage.SAMPLE: "Measuring the meshes",
    Stage.TRAIN: "Training the prior",
    Stage.KEEP: "Writing the prior",
    Stage.IMPORT: "Reading the checkpoint",
    "prepare": "Looking for a Python",
    "environment": "Making the environment",
    "fetch": "Fetching packages",
    "unpack": "Unpacking: this takes a while",
    "test": "Trying it",
}


@dataclass
class Progress:
    """Where a job stands, for a panel, a terminal or a script.

    Attributes
    ----------
    message : str
        What the worker is doing, in words: its last status, or the stage since.
    stage : str
        What the worker is doing, such as ``fit``; empty before the first step.
    step, steps : int
        Steps done and in all, in this stage.
    loss : float or None
    seconds_left : float or None
        The worker's guess.
    warnings : list of str
    paused : bool
        Whether the work stands still, as it was told to.
    preview : int or None
        The newest coarse mesh of a fit: see `protocol.shape_folder`.
    losses : list of (int, float)
        Steps and losses of this stage so far.
    """

    message: str = "Starting"
    stage: str = ""
    step: int = 0
    steps: int = 0
    loss: float | None = None
    seconds_left: float | None = None
    warnings: list[str] = field(default_factory=list)
    paused: bool = False
    preview: int | None = None
    losses: list[tuple[int, float]] = field(default_factory=list)

    @property
    def factor(self) -> float:
        """How much of the stage is done, 0 to 1."""
        return min(max(self.step / self.steps, 0.0), 1.0) if self.steps > 0 else 0.0

    def take(self, event: Mapping[str, Any]) -> None:
        """Fold one event of the protocol into the state."""
        if event["event"] == "status":
            self.message = str(event["message"])
        elif event["event"] == "progress":
            if event["stage"] != self.stage:
                self.stage = str(event["stage"])
                self.message = STAGES.get(self.stage, self.stage.capitalize())
                self.losses = []
            self.loss = event["loss"]
            self.step, self.steps = int(event["step"] or 0), int(event["steps"] or 0)
            self.seconds_left = event["seconds_left"]
            if self.loss is not None:
                self.losses.append((self.step, float(self.loss)))
        elif event["event"] == "warning":
            self.warnings.append(str(event["message"]))
        elif event["event"] in {"paused", "resumed"}:
            self.paused = event["event"] == "paused"
        elif event["event"] == "preview":
            self.preview = int(event["serial"])

    @property
    def detail(self) -> str:
        """Step, loss and time left; empty in a stage of a single step."""
        if self.steps <= 1:
            return ""
        parts = [f"{self.step}/{self.steps}"]
        if self.loss is not None:
            parts.append(f"loss {self.loss:.4g}")
        if self.seconds_left is not None:
            parts.append(f"{_clock(self.seconds_left)} left")
        return ", ".join(parts)

    def __str__(self) -> str:
        return f"{self.stage or self.message} {self.detail}".rstrip()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
