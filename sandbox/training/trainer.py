"""Train one SAE of a sweep with SAELens' trainer, and measure it during training; an interrupted run can be resumed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from sandbox.errors import InputError
from sandbox.measuring.measure import measure
from sandbox.report import Point, Report
from sandbox.report.points import sae_name
from sandbox.system.devices import sent
from sandbox.system.files import folder_written_whole, write_text
from sandbox.training.architectures import architecture
from sandbox.training.sweep_data import SweepData

MEASUREMENTS = 4  # the last at the end of training; the others show whether γ is still changing
LIBRARIES = ("shrinkage-sandbox", "sae-lens", "torch", "numpy")


@dataclass(frozen=True)
class Training:
    """How an SAE is trained, apart from its architecture, coefficient and seed.

    Attributes:
        d_sae: number of latents
        steps: optimiser steps, each on `batch` tokens
        lr:    peak learning rate of Adam, warmed up over the first 1/20 of the steps and decayed to 0 over the last
               1/3; the sparsity penalty is warmed up over the first 1/5
    """

    d_sae: int
    steps: int
    batch: int
    lr: float


@dataclass(frozen=True)
class Job:
    """One SAE to train."""

    architecture: str
    coefficient: float
    seed: int

    @property
    def name(self) -> str:
        """The name of its folder, such as relu-1.2-seed-0."""
        return sae_name(self.architecture, self.coefficient, self.seed)


def train(
    job: Job,
    training: Training,
    data: SweepData,
    folder: Path,
    *,
    device: str = "cpu",
    every: float = 60.0,
    progress: Callable[[int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Train and measure one SAE, unless it is finished; return the content of its training.json.

    A finished SAE is a folder in SAELens' own layout, with training.json beside the weights. The state of an unfinished
    one is in the folder of that name plus `.unfinished`; it is saved every few seconds and when training is stopped. On
    the CPU, a resumed run gives the same weights as an uninterrupted one, bit for bit.

    Args:
        every:    seconds between two saves of the state
        progress: called with the number of steps just done
        stop:     called after each step; if true, the state is saved and KeyboardInterrupt raised
    Returns: `settings`, `seconds`, `device`, `libraries`, `points` (of `Point.to_dict`)
    Raises:  InputError if the folder holds an SAE with other settings
    """
    settings = {**asdict(job), **asdict(training), "activations": data.sha256}
    if (done := _finished(folder, settings)) is not None:
        if progress:
            progress(training.steps)
        return done
    if stop():
        raise KeyboardInterrupt
    run = _Run(job, training, data, folder.with_name(folder.name + ".unfinished"), settings, torch.device(device))
    if progress and run.trainer.n_training_steps:
        progress(run.trainer.n_training_steps)
    try:
        run.resume(every, progress, stop)
        with folder_written_whole(folder) as beside:
            run.write(beside)
            record = run.record(beside)
            write_text(beside / "training.json", json.dumps(record, indent=1) + "\n")
    except KeyboardInterrupt:  # from `stop` or while measuring, never within a step
        run.save()
        raise
    shutil.rmtree(run.folder, ignore_errors=True)
    return record


def _finished(folder: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    if not folder.exists():
        return None
    path = folder / "training.json"
    try:
        record = json.loads(path.read_text("utf-8"))
        before = dict(record["settings"])
        if not (record["seconds"] >= 0 and all(Point.from_dict(point) for point in record["points"])):
            raise ValueError("its time is negative")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be read ({error}): remove {folder} to train it again") from error
    _check_same(folder, before, settings)
    return record


def _check_same(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    for what, value in now.items():
        if before.get(what) != value:
            raise InputError(
                f"{folder} was trained with {what} = {before.get(what)}, not {value}: name another folder to write to"
            )


class _Run:
    """An SAE in training, and its points so far."""

    def __init__(
        self,
        job: Job,
        training: Training,
        data: SweepData,
        folder: Path,
        settings: dict[str, Any],
        device: torch.device,
    ) -> None:
        self.job, self.training, self.data, self.folder, self.settings = job, training, data, folder, settings
        self.seconds, self.points = 0.0, []
        self.trainer = self._trainer(device)
        if (folder / "run.json").exists():
            self._load()
        else:
            self.save()  # an unwritable folder fails now, not after a minute

    def resume(self, every: float, progress: Callable[[int], None] | None, stop: Callable[[], bool]) -> None:
        """Train to the end, or until stopped."""
        trainer, steps = self.trainer, self.training.steps
        marks = {steps * number // MEASUREMENTS for number in range(1, MEASUREMENTS)}
        rows = BatchSchedule(self.data.train, self.training.batch, self.job.seed)
        before, started = self.seconds, time.monotonic()
        saved = started
        while trainer.n_training_steps < steps:
            if trainer.n_training_steps in marks and all(
                point["steps"] != trainer.n_training_steps for point in self.points
            ):
                with TemporaryDirectory() as beside:
                    self.write(Path(beside))
                    self.points.append(self._point(Path(beside), self.data.held_out, "held-out", False))
            trainer.maybe_reset_sparsity()
            trainer.step(sent(rows[trainer.n_training_steps], torch.device(trainer.cfg.device)).float())
            trainer.n_training_steps += 1
            if progress:
                progress(1)
            self.seconds = before + time.monotonic() - started
            if stop():
                raise KeyboardInterrupt
            if time.monotonic() - saved > every:
                self.save()
                saved = time.monotonic()

    def write(self, folder: Path) -> None:
        """Write the current SAE in SAELens' layout, with the scale of the activations folded into its weights."""
        sae, weights = self._sae(), self.trainer.sae.state_dict()
        if not all(tensor.isfinite().all() for tensor in weights.values()):
            steps = self.trainer.n_training_steps
            raise InputError(
                f"{self.job.name} has diverged: weights are not finite after {steps} steps; lower the learning rate"
            )
        sae.load_state_dict(weights)
        if (scale := self.trainer.activation_scaler.scaling_factor) is not None:
            sae.fold_activation_norm_scaling_factor(scale)
        sae.save_inference_model(folder)

    def record(self, folder: Path) -> dict[str, Any]:
        """The content of training.json for the finished SAE in `folder`."""
        sources = (self.data.held_out, "held-out"), (self.data.some_of_training(), "training")
        points = [*self.points, *(self._point(folder, source, words, True) for source, words in sources)]
        device = self.trainer.sae.device
        return {
            "settings": self.settings,
            "seconds": round(self.seconds, 1),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "libraries": {name: version(name) for name in LIBRARIES},
            "points": points,
        }

    def _point(self, folder: Path, source: Any, measured_on: str, finished: bool) -> dict[str, Any]:
        report: Report = measure(folder, source, device=str(self.trainer.sae.device), look=False)
        if report.training:  # the file does not say so, and where the penalty is weak, γ cannot tell
            report = replace(report, training=report.training._replace(scaled=True))
        facts = {**asdict(self.job), "steps": self.trainer.n_training_steps, "finished": finished}
        return Point.from_report(report, **facts, measured_on=measured_on).to_dict()

    def _sae(self) -> Any:
        """A new SAE of this job, with the initial weights of its seed."""
        kind = architecture(self.job.architecture)
        sae_class, settings_class = kind.classes()
        coefficient = int(self.job.coefficient) if kind.coefficient == "k" else self.job.coefficient
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.job.seed)  # seeds the CPU only
            return sae_class(
                settings_class(
                    d_in=self.data.d_in,
                    d_sae=self.training.d_sae,
                    normalize_activations="expected_average_only_in",
                    **{kind.coefficient: coefficient},
                    **kind.settings(self.training.steps),
                )
            )

    def _trainer(self, device: torch.device) -> Any:
        from sae_lens.config import SAETrainerConfig
        from sae_lens.training.sae_trainer import SAETrainer

        steps, batch, lr = self.training.steps, self.training.batch, self.training.lr
        settings = SAETrainerConfig(
            total_training_samples=steps * batch,
            train_batch_size_samples=batch,
            lr=lr,
            lr_end=lr,  # of the constant schedule; the decay after it always ends at 0
            lr_warm_up_steps=steps // 20,
            lr_decay_steps=steps // 3,
            feature_sampling_window=max(steps // 6, 1),
            device=str(device),
        )
        trainer = SAETrainer(settings, self._sae().to(device), data_provider=iter(()))
        trainer.activation_scaler.scaling_factor = self.data.scale
        return trainer

    def save(self) -> None:
        """Save the state beside the previous one; run.json, which names the valid state, is replaced last."""
        state = self.folder / ("state-1" if self._state().name == "state-0" else "state-0")
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(parents=True)
        torch.save(self.trainer.sae.state_dict(), state / "weights.pt")
        self.trainer.save_trainer_state(state)
        run = {"state": state.name, "settings": self.settings, "seconds": self.seconds, "points": self.points}
        write_text(self.folder / "run.json", json.dumps(run))

    def _state(self) -> Path:
        """The folder of the valid state, if there is one."""
        path = self.folder / "run.json"
        return self.folder / (json.loads(path.read_text("utf-8"))["state"] if path.exists() else "none")

    def _load(self) -> None:
        try:
            run = json.loads((self.folder / "run.json").read_text("utf-8"))
            _check_same(self.folder, run["settings"], self.settings)
            state = self._state()
            weights = torch.load(state / "weights.pt", map_location=self.trainer.cfg.device, weights_only=True)
            self.trainer.sae.load_state_dict(weights)
            self.trainer.load_trainer_state(state)
            self.seconds, self.points = run["seconds"], run["points"]
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{self.folder} cannot be resumed ({error}): remove it to start again") from error


class BatchSchedule:
    """The tokens of each step, a pure function of seed and step; each epoch has its own order."""

    def __init__(self, tokens: np.ndarray, size: int, seed: int) -> None:
        if size > len(tokens):
            raise InputError(f"{len(tokens)} tokens to train on are fewer than one batch of {size}")
        self.tokens, self.size, self.seed = tokens, size, seed
        self.epoch, self.order = -1, np.empty(0, np.int64)

    def __getitem__(self, step: int) -> np.ndarray:
        """Float[ndarray, "size d"]."""
        return self.tokens[np.sort(self.rows(step))]  # sorted: the disk reads forward

    def rows(self, step: int) -> np.ndarray:
        """Indices of the tokens of a step: Int[ndarray, "size"]."""
        epoch, at = divmod(step, len(self.tokens) // self.size)
        if epoch != self.epoch:
            self.epoch, self.order = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self.tokens))
        return self.order[at * self.size : (at + 1) * self.size]
