"""Ray Data for a batch: actors on one computer or a cluster, each of which loads the networks once."""

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
from defocus_edge.cli.batch.records import MAX_DEATHS, EngineError, Item, Record, Work, end_process_on_error, give_up
from defocus_edge.cli.console import silence_stderr
from defocus_edge.networks.devices import count_cores

RAY = Extra("ray", "ray", "runs with --engine ray")
# Largest number of blocks in Ray Data, which keeps count of them. Pictures of one block come back together.
_MAX_BLOCKS = 10_000
# Settings that Ray reads when it is loaded. Without them it writes to stderr and sends usage data to its makers.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1"}


class RayEngine:
    """Actors that are given one picture at a time.

    Each of the `jobs` actors gets a copy of the work, `num_gpus` GPUs (such as 0.5; 0 for the CPU) and the variables of
    `environment`. `address` names a cluster whose computers all see the same files. Without it Ray runs on this
    computer, for the time of the run.

    Ray restarts actors that die and repeats their work, without end. Actors therefore report the begin and the end of
    each picture. A picture that `MAX_DEATHS` actors began and did not end is given up.
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
        """Have all pictures done; yield the result of each as it ends.

        Raises an EngineError if Ray cannot be started or reached, or has too few GPUs.
        """
        if not items:
            return
        with ExitStack() as stack:
            # Ray reports dead workers on stdout, where the command prints nothing.
            stack.enter_context(redirect_stdout(stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))))
            ray = self._start()
            stack.callback(ray.shutdown)
            for row in self._make_dataset(ray, items).iter_rows():
                yield pickle.loads(row["record"])

    def _start(self) -> Any:
        """Start Ray or connect to it; return the module."""
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        ray = RAY.load()
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if self._address is None:
            # Each actor asks for a core: Ray must count at least one for each actor.
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
        if self._address is None and gpus < self._num_gpus * self._jobs:  # Ray would wait for them without end
            ray.shutdown()
            msg = f"{self._jobs} jobs with {self._num_gpus:g} GPUs each do not fit this computer. Got: {gpus:g} GPUs."
            raise EngineError(msg)
        return ray

    def _make_dataset(self, ray: Any, items: Sequence[Item]) -> Any:
        """Ray data set of the records of all pictures, computed on demand."""
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
    """Pictures that were begun and not ended: how often, and the error. It runs in a process of its own."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._faults: dict[str, str] = {}

    def begin(self, picture: str) -> tuple[int, str]:
        """Count one begin of a picture; return how often it was begun before and not ended, and the error."""
        self._open[picture] += 1
        return self._open[picture] - 1, self._faults.get(picture, "")

    def end(self, picture: str) -> None:
        """Forget a picture that is done."""
        del self._open[picture]

    def add_fault(self, picture: str, fault: str) -> None:
        """Keep the error that ended an actor."""
        self._faults[picture] = fault


class _Actor:
    """Worker that Ray Data calls with each batch; the networks stay loaded between the calls."""

    def __init__(self, work: bytes, environment: dict[str, str], folder: str, ledger: Any) -> None:
        os.environ.update(environment)  # before the work loads the libraries that read it
        if Path(folder).is_dir():  # paths of presets may be relative to it
            os.chdir(folder)
        self._work, self._ledger = pickle.loads(work), ledger

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        return {"record": [pickle.dumps(self._attempt(pickle.loads(item))) for item in batch["item"]]}

    def _attempt(self, item: Item) -> Record:
        """Do one picture, or give it up if too many actors died with it."""
        import ray

        deaths, fault = ray.get(self._ledger.begin.remote(item.picture))
        if deaths >= MAX_DEATHS:
            return give_up(item, fault or "it was killed or crashed")
        with end_process_on_error(lambda text: ray.get(self._ledger.add_fault.remote(item.picture, text))):
            record: Record = self._work(item)
        ray.get(self._ledger.end.remote(item.picture))
        return record
