"""From sparse blur at edges to a blur map."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from defocus_edge.propagation.domain_transform import domain_transform_filter
    from defocus_edge.propagation.propagate import NoEdgesError, propagate_blur, simplify_guide
    from defocus_edge.propagation.settings import PropagationSettings

__all__ = ["NoEdgesError", "PropagationSettings", "domain_transform_filter", "propagate_blur", "simplify_guide"]


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562), so that importing the package costs nothing."""
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    modules = {"domain_transform_filter": "domain_transform", "PropagationSettings": "settings"}
    module = modules.get(name, "propagate")
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
