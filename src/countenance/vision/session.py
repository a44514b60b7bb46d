"""The only module that imports ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from countenance.errors import ModelFault


class Session:
    """One loaded graph with one input; safe for use by several threads.

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
            (taken,) = self._session.get_inputs()
            self._input = taken.name
            self.input_shape: list[int | str | None] = list(taken.shape)
            self.input_kind = str(taken.type)
            self.outputs = [made.name for made in self._session.get_outputs()]
            self.output_shapes: list[list[int | str | None]] = [list(m.shape) for m in self._session.get_outputs()]
        except Exception as fault:  # ONNX Runtime's errors have no common base of their own
            raise ModelFault("model-graph-unusable", "A model's graph cannot be loaded.") from fault

    def run(self, value: NDArray[Any]) -> NDArray[np.float32]:
        """Return the only output for `value`; raises ModelFault(model-run-failed)."""
        made = self.run_all(value)
        if len(made) != 1:
            raise ModelFault("model-run-failed", "A model could not be run on this input.")
        return made[0]

    def run_all(self, value: NDArray[Any]) -> list[NDArray[np.float32]]:
        """Return every output for `value`, in the order of `outputs`; raises ModelFault(model-run-failed)."""
        try:
            made: list[NDArray[np.float32]] = self._session.run(None, {self._input: value})
        except Exception as fault:  # see above; its text may name values, so it stays in the cause
            raise ModelFault("model-run-failed", "A model could not be run on this input.") from fault
        return made
