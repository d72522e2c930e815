"""The settings of Keras under which networks are built and compiled, whatever a program or keras.json chose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

# Type of floats, place of the channels, policy of layers.
_OWN = ("float32", "channels_last", "float32")


@contextmanager
def use_own_policy() -> Iterator[None]:
    """Build and compile in float32 with channels last; afterwards the program has its own settings again."""
    from keras import config

    before = config.floatx(), config.image_data_format(), config.dtype_policy()
    if (*before[:2], before[2].name) == _OWN:  # as nearly always: threads then never see a change
        yield
        return
    _set(*_OWN)
    try:
        yield
    finally:
        _set(*before)


def _set(floatx: str, layout: str, policy: object) -> None:
    """Set what Keras asks when it builds a layer."""
    from keras import config

    config.set_floatx(floatx)
    config.set_image_data_format(layout)
    config.set_dtype_policy(policy)
