"""All tests of this folder compile quickly."""

import pytest

from tests.training.edges.device.device_cases import compile_quickly


@pytest.fixture(scope="module", autouse=True)
def quick():
    with compile_quickly():
        yield
