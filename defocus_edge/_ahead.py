"""Works on some things at once in threads, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(function: Callable[..., Result], items: Iterable[tuple[Any, ...]], *, threads: int) -> Iterator[Result]:
    """Results of a function for items, each a tuple of its arguments, in their order.

    At most `threads` items are worked on at once, and at most as many results wait. With one thread no other is
    started, and each item is worked on when its result is asked for.
    """
    if threads == 1:
        yield from (function(*item) for item in items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, *item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def load_ahead(load: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result | Exception]:
    """Results of `load` for items, in their order; a thread loads the next one while a result is used.

    That thread takes the items, too. No more than one result waits. In place of a result comes what `load` raises; what
    `items` raises is raised here, after the results before it.
    """
    source = iter(items)

    def load_next() -> list[Result | Exception]:
        for item in source:
            try:
                return [load(item)]
            except Exception as error:  # noqa: BLE001 - the caller decides
                return [error]
        return []

    with ThreadPoolExecutor(1, thread_name_prefix="load_ahead") as pool:
        loaded = pool.submit(load_next).result()
        while loaded:
            following = pool.submit(load_next)
            yield loaded.pop()  # the caller has the only reference
            loaded = following.result()
