"""The only module that imports ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from countenance.errors import ModelFault


class Session:
    """One loaded graph with one input and one output; safe for use by several threads.

    `threads` is for one run: a gate has one visitor at a time and other work on its other cores.
    """

    def __init__(self, graph: bytes, threads: int = 1) -> None:
        """Load `graph`; raises ModelFault(model-graph-unusable)."""
        import onnxruntime

        # Nothing about what runs here leaves the machine; the call does nothing where it is off already.
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # Between two visitors its threads sleep, and a visitor's picture is not kept in an arena.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
            self._input = self._session.get_inputs()[0].name
        except Exception as fault:  # ONNX Runtime's errors have no common base of their own
            raise ModelFault("model-graph-unusable", "A model's graph cannot be loaded.") from fault

    def run(self, value: NDArray[Any]) -> NDArray[np.float32]:
        """Return the output for `value`; raises ModelFault(model-run-failed)."""
        try:
            (result,) = self._session.run(None, {self._input: value})
        except Exception as fault:  # see above; its text may name values, so it stays in the cause
            raise ModelFault("model-run-failed", "A model could not be run on this input.") from fault
        made: NDArray[np.float32] = result
        return made
