"""ONNX Runtime lists kernels of LSTM and GRU for float64 on the CPU, makes a session, and raises when it is run.

The kernel registry and docs/OperatorKernels.md have tensor(double) for both; RNN is listed for float alone.
"""

import numpy as np
import onnx.parser
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

onnxruntime.set_default_logger_severity(4)
print("onnxruntime", onnxruntime.__version__)
for op, gates in (("LSTM", 4), ("GRU", 3)):
    kernels = [kernel for kernel in state.get_all_opkernel_def() if kernel.op_name == op]
    types = {name for kernel in kernels for name in kernel.type_constraints["T"]}
    print(op, "is listed for", ", ".join(sorted(types)))
    model = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["": 22]>
    layer (double[1,1,1] X, double[1,{gates},1] W, double[1,{gates},1] R) => (double[1,1,1] Y_h) {{
        Y, Y_h = {op} <hidden_size = 1> (X, W, R) }}""")
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    W = np.ones((1, gates, 1))
    try:
        session.run(None, {"X": np.ones((1, 1, 1)), "W": W, "R": W})
    except state.RuntimeException as error:
        print(op, "raises:", str(error).partition("Status Message: ")[2].splitlines()[0])
    else:
        raise SystemExit("mended")
    assert "tensor(double)" in types, "mended"
