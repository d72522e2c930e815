"""The baselines by name, all with the same call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.baselines.andrade import estimate_andrade
from training.baselines.cnn_metric import measure_cnn_metric
from training.baselines.dhde import estimate_dhde
from training.baselines.edge_dct import measure_edge_dct
from training.baselines.hifst import measure_hifst
from training.baselines.karaali_jung import estimate_karaali_jung
from training.baselines.lbp import measure_lbp
from training.baselines.liu_liao_xue_zhou import estimate_liu_liao_xue_zhou
from training.baselines.liu_zhou_liao import estimate_liu_zhou_liao
from training.baselines.local_rank import estimate_local_rank
from training.baselines.ltcop import measure_ltcop
from training.baselines.multiscale_svd import measure_multiscale_svd
from training.baselines.narayan_parida_sahay import estimate_narayan_parida_sahay
from training.baselines.pcnn_lbp import measure_pcnn_lbp
from training.baselines.zhang_wang import estimate_zhang_wang
from training.baselines.zhuo_sim import estimate_zhuo_sim

#: ``px``: blur radius of a disk in pixels; ``score``: 0 to 1 within one picture, larger = more blurred.
Unit = Literal["px", "score"]


@dataclass(frozen=True)
class Baseline:
    """A published method, behind one call."""

    #: Name in commands and tables.
    name: str
    #: RGB (H, W, 3) float32 in [0, 1], sRGB-encoded, to a map (H, W) float32 that is larger where the picture is more
    #: blurred. Raises `NoEdgesError` for a picture without contrast.
    measure: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    #: Unit of the map. A score has no zero: it compares the parts of one picture, not two pictures.
    unit: Unit
    #: Whether it needs the package pymatting.
    matting: bool = False


#: Name to baseline.
BASELINES: Mapping[str, Baseline] = MappingProxyType(
    {
        baseline.name: baseline
        for baseline in (
            Baseline("zhuo-sim", estimate_zhuo_sim, "px", matting=True),
            Baseline("karaali-jung", estimate_karaali_jung, "px"),
            Baseline("hifst", measure_hifst, "score"),
            Baseline("lbp", measure_lbp, "score", matting=True),
            Baseline("ltcop", measure_ltcop, "score", matting=True),
            Baseline("pcnn-lbp", measure_pcnn_lbp, "score"),
            Baseline("edge-dct", measure_edge_dct, "score", matting=True),
            Baseline("multiscale-svd", measure_multiscale_svd, "score"),
            Baseline("local-rank", estimate_local_rank, "px", matting=True),
            Baseline("liu-zhou-liao", estimate_liu_zhou_liao, "px", matting=True),
            Baseline("zhang-wang", estimate_zhang_wang, "px", matting=True),
            Baseline("andrade", estimate_andrade, "px", matting=True),
            Baseline("liu-liao-xue-zhou", estimate_liu_liao_xue_zhou, "px", matting=True),
            Baseline("narayan-parida-sahay", estimate_narayan_parida_sahay, "px"),
            Baseline("dhde", estimate_dhde, "px", matting=True),
            Baseline("cnn-metric", measure_cnn_metric, "score"),
        )
    }
)
