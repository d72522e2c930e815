"""`python -m training answers|student`: ask a wide pair of networks, and train a narrow one on what it says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.commands.scoring import refuse_faults
from training.commands.tools import check_package, make_folder
from training.commands.training import Call, Out, Resume, Seed, Start, Steps
from training.distillation.choices import STUDENT, TEACHER

if TYPE_CHECKING:
    from training.distillation.stages import StudentRun

Store = Annotated[Path, typer.Option(help="Folder of the answers.", show_default=False)]
Teacher = Annotated[str, typer.Option(help="Preset of the networks that teach.")]


def ask_teacher(
    samples: Annotated[Path, typer.Option(help="Folder that python -m training samples has filled.")],
    store: Store,
    root: Annotated[
        Path | None, typer.Option(help="Folder as for training: its photographs, and real/cuhk, are asked about, too.")
    ] = None,
    teacher: Teacher = TEACHER,
    broad: Annotated[
        int, typer.Option(min=0, help="Scenes of each family of the broad set to render from pictures of the root.")
    ] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Store what a wide pair of networks says of rendered scenes and of photographs.

    A second run goes on where the first one stopped, or adds scenes.
    """
    from rich.progress import Progress

    from defocus_edge.files.atomic import ImageReadError
    from defocus_edge.networks.preset_files import PresetError
    from training.distillation.asking import Lesson, fill_answers, list_work

    make_folder(store)
    lesson = Lesson(root, samples, store, teacher, broad)
    with refuse_faults(OSError, ImageReadError, PresetError, ValueError), Progress() as progress:
        count = len(list_work(lesson))
        if not count:
            msg = f"samples must have scenes, or root photographs. Got: {samples} and {root}."
            raise FileNotFoundError(msg)
        task = progress.add_task("pictures", total=count)
        for done in fill_answers(lesson, jobs=jobs):
            progress.update(task, completed=done)


def train_student(
    out: Out,
    store: Annotated[Path | None, typer.Option(help="Folder of the answers.", show_default=False)] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder of the pictures, with the sampler 'device'.", show_default=False)
    ] = None,
    config: Annotated[str, typer.Option(help="fast, gpu, tune, or a TOML file.")] = "fast",
    teacher: Teacher = TEACHER,
    start: Start = None,
    steps: Steps = None,
    seed: Seed = None,
    resume: Resume = False,
) -> None:
    """Train a narrow pair of networks on the answers of a wide one, and write its preset.

    The answers are those of STORE, or, with the sampler 'device', asked for on the accelerator.
    """
    given = {"root": root} if store is None else {"store": store}
    options = {"config": config, **given, "out": out, "teacher": teacher, "start": start, "steps": steps}
    call = Call("student", options | {"seed": seed, "resume": resume})
    with call.explain_faults():
        run = _open_run(call)
        call.write_preset(run, run.train_network())


def _open_run(call: Call) -> StudentRun:
    """Read configuration and answers."""
    from training.distillation.settings import read_student_config

    config, options = call.read_config(read_student_config), call.options
    source, other = ("root", "store") if config.settings.sampler == "device" else ("store", "root")
    if options.get(source) is None or options.get(other) is not None:
        msg = f"--{source} must be given, and no --{other}, with the sampler {config.settings.sampler!r}."
        raise typer.BadParameter(msg)
    if source == "root":
        check_package("jax", "jax", "The sampler 'device'")

    def open_run() -> StudentRun:
        from training.distillation.stages import open_student_run

        folder, resume = options["out"], options["resume"]
        return open_student_run(
            config, source=options[source], teacher=options["teacher"], folder=folder, resume=resume
        )

    return call.open_run(config, [STUDENT], open_run)
