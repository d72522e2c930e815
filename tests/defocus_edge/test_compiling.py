"""Kernels compile where Numba can keep nothing."""

from defocus_edge._compiling import compile_kernel


def test_kernels_compile_without_a_place_for_the_cache():
    namespace = {}
    exec("def double(x):\n    return 2 * x", namespace)  # no source file: Numba finds no place for its cache
    assert compile_kernel(namespace["double"])(21) == 42
