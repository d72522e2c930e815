"""Works on some things at once in threads, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

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
