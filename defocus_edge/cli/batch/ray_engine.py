"""The pictures of a batch on Ray Data: actors on one computer or a cluster, each of which loads the networks once."""

from __future__ import annotations

import logging
import os
import pickle
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import Any

from defocus_edge._extras import Extra
from defocus_edge.cli.batch.records import MAX_DEATHS, EngineError, Item, Mortality, Record, Work, give_up
from defocus_edge.cli.batch.threads import count_cores
from defocus_edge.cli.console import silence_stderr

RAY = Extra("ray", "ray", "runs with --engine ray")
# Most blocks that Ray Data has to keep count of. Pictures of one block come back together.
_MAX_BLOCKS = 10_000
# Read by Ray when it is loaded: it writes to stderr and, unless told not to, to its makers.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1"}


class RayEngine:
    """Actors that are given one picture at a time.

    Parameters
    ----------
    work : callable
        See `Work`; each actor has a copy.
    jobs : int
        How many actors.
    num_gpus : float
        GPUs of each actor, which may be a part of one; 0 for the CPU.
    address : str, optional
        Of a cluster, all of whose computers see the same files; else this computer, for the time of the run.
    environment : mapping of str to str, optional
        Environment variables of the actors.

    Notes
    -----
    Ray restarts actors that die and repeats what they had in hand, without end. So that a picture that kills its actor
    does not go on doing so, actors report the begin and end of each picture: one that `MAX_DEATHS` of them began and
    did not end is given up.
    """

    def __init__(
        self,
        work: Work,
        *,
        jobs: int = 1,
        num_gpus: float = 0,
        address: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._work, self._jobs, self._num_gpus, self._address = work, jobs, num_gpus, address
        self._environment = dict(environment or {})

    def run(self, items: Sequence[Item]) -> Generator[Record, None, None]:
        """Have all pictures done.

        Parameters
        ----------
        items : sequence of Item

        Yields
        ------
        Record
            One for each picture, as they end.

        Raises
        ------
        EngineError
            If Ray cannot be started or reached, or has too few GPUs.
        """
        if not items:
            return
        with ExitStack() as stack:
            # Ray prints there that a worker died; the command prints nothing there.
            stack.enter_context(redirect_stdout(stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))))
            ray = self._start()
            stack.callback(ray.shutdown)
            for row in self._make_dataset(ray, items).iter_rows():
                yield pickle.loads(row["record"])

    def _start(self) -> Any:
        """Ray, started or connected to."""
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        ray = RAY.load()
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if self._address is None:
            # Each actor asks for a core: also those that are more than the cores must get theirs.
            options |= {"address": "local", "num_cpus": max(self._jobs, count_cores()), "include_dashboard": False}
        else:
            options["address"] = self._address
        try:
            with silence_stderr():
                ray.init(**options)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            msg = f"Ray cannot be {'started' if self._address is None else 'reached'}: {' '.join(str(error).split())}"
            raise EngineError(msg) from error
        gpus = ray.cluster_resources().get("GPU", 0)
        if self._address is None and gpus < self._num_gpus * self._jobs:  # it would wait for them without end
            ray.shutdown()
            msg = f"{self._jobs} jobs with {self._num_gpus:g} GPUs each do not fit this computer. Got: {gpus:g} GPUs."
            raise EngineError(msg)
        return ray

    def _make_dataset(self, ray: Any, items: Sequence[Item]) -> Any:
        """Records of all pictures, computed when they are asked for."""
        from ray import data

        data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        ledger = ray.remote(num_cpus=0)(_Ledger).remote()
        rows = [{"item": pickle.dumps(item)} for item in items]
        return data.from_items(rows, override_num_blocks=min(len(rows), _MAX_BLOCKS)).map_batches(
            _Actor,
            fn_constructor_args=(pickle.dumps(self._work), self._environment, str(Path.cwd()), ledger),
            batch_size=1,
            compute=data.ActorPoolStrategy(size=self._jobs, max_tasks_in_flight_per_actor=1),
            num_cpus=1,
            num_gpus=self._num_gpus,
        )


class _Ledger:
    """Which pictures were begun and not ended, how often, and what was raised; lives in a process of its own."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._faults: dict[str, str] = {}

    def begin(self, picture: str) -> tuple[int, str]:
        """How often it was begun before and not ended, and why."""
        self._open[picture] += 1
        return self._open[picture] - 1, self._faults.get(picture, "")

    def end(self, picture: str) -> None:
        del self._open[picture]

    def add_fault(self, picture: str, fault: str) -> None:
        self._faults[picture] = fault


class _Actor:
    """What Ray Data calls with each batch; the networks stay loaded between the calls."""

    def __init__(self, work: bytes, environment: dict[str, str], folder: str, ledger: Any) -> None:
        os.environ.update(environment)  # before the work loads what reads it
        if Path(folder).is_dir():  # presets and the like may be named from there
            os.chdir(folder)
        self._work, self._ledger = pickle.loads(work), ledger

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        return {"record": [pickle.dumps(self._attempt(pickle.loads(item))) for item in batch["item"]]}

    def _attempt(self, item: Item) -> Record:
        import ray

        deaths, fault = ray.get(self._ledger.begin.remote(item.picture))
        if deaths >= MAX_DEATHS:
            return give_up(item, fault or "it was killed or crashed")
        with Mortality(lambda text: ray.get(self._ledger.add_fault.remote(item.picture, text))):
            record: Record = self._work(item)
        ray.get(self._ledger.end.remote(item.picture))
        return record
