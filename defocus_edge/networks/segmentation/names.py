"""The names of the networks that detect blur, without the networks: this loads no Keras."""

from __future__ import annotations

from pathlib import Path

#: In the order of the alphabet. A network is a file in the folder `architectures`, and has its name.
NETWORK_NAMES = tuple(sorted(path.stem for path in (Path(__file__).parent / "architectures").glob("[a-z]*.py")))
