"""What the commands that train a network share: options, the command line as given, checks before pictures load."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from training.commands.tools import explain_faults, format_command, make_folder

if TYPE_CHECKING:
    from training.runs.config import TrainingConfig
    from training.runs.run import TrainingRun

    Config = TypeVar("Config", bound=TrainingConfig[Any])
    Run = TypeVar("Run", bound=TrainingRun)

Out = Annotated[Path, typer.Option(help="Folder of the run: checkpoints, logs, scores.", show_default=False)]
Steps = Annotated[int | None, typer.Option(min=1, help="Instead of those of the configuration.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Instead of that of the configuration.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in OUT.")]
Start = Annotated[
    str | None, typer.Option(help="Begin with the weights of another run's folder, or of a preset.", show_default=False)
]
# Options that may hold a path of this machine, besides the folder of the pictures.
_PATHS = ("config", "out", "store", "bnet", "unlabelled", "start", "teacher", "preset")


@dataclass(frozen=True)
class Call:
    """A command that trains, as it was given.

    Attributes
    ----------
    command : str
    options : dict
        Values of all options, in the order in which a command line names them.
    started : float
        Seconds of the monotonic clock.
    """

    command: str
    options: dict[str, Any]
    started: float = field(default_factory=time.monotonic)

    @contextmanager
    def explain_faults(self) -> Iterator[None]:
        """See `tools.explain_faults`; the command line that goes on is this one with ``--resume``."""
        with explain_faults(format_command(self.command, self.options | {"resume": True})):
            yield

    def read_config(self, read: Callable[[str], Config]) -> Config:
        """The configuration with what the command line changes."""
        try:
            config = read(self.options["config"])
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--config") from error
        start = self.options["start"]
        return config.change(
            seed=self.options["seed"], steps=self.options.get("steps"), start=start and Path(start).name
        )

    def open_run(self, config: TrainingConfig[Any], stages: Sequence[str], open_run: Callable[[], Run]) -> Run:
        """Look at checkpoints and folders first, then load pictures: what is wrong is said at once.

        Parameters
        ----------
        config : TrainingConfig
        stages : sequence of str
            The stages that the command trains.
        open_run : callable
            Reads the pictures and builds the networks.
        """
        import cv2

        from training.runs.checkpoints import check_new, check_resumable, describe_run, find_checkpoint

        for stage in stages:
            checkpoint = find_checkpoint(self.options["out"], stage)
            if self.options["resume"]:
                check_resumable(checkpoint, describe_run(config.stages[stage], config.architecture))
            else:
                check_new(checkpoint)
        cv2.setNumThreads(1)  # pictures are drawn in one thread beside the training, which needs the other cores
        make_folder(self.options["out"])
        try:
            run = open_run()
        except (OSError, ValueError) as error:  # missing or broken pictures, or none for a family
            raise typer.BadParameter(str(error), param_hint="--root") from error
        if self.options["start"] is not None:
            run.start_from(self.options["start"], stages)
        return run

    def write_preset(self, run: TrainingRun, trained: Any) -> None:
        """Calibrate, write the preset and print its folder; its metadata name no path of this machine."""
        named = {name: Path(path).name for name in _PATHS if (path := self.options.get(name)) is not None}
        data = {"root": "DATA"} if "root" in self.options else {}
        command = format_command(self.command, self.options | named | data | {"resume": False})
        typer.echo(str(run.write_preset(trained, command=command, hours=(time.monotonic() - self.started) / 3600)))
