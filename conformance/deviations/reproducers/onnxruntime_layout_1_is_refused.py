"""ONNX Runtime refuses layout = 1, batch first, which RNN, LSTM and GRU have had since opset 14."""

import onnx.parser
import onnxruntime

onnxruntime.set_default_logger_severity(4)
print("onnxruntime", onnxruntime.__version__)
for op, gates in (("RNN", 1), ("LSTM", 4), ("GRU", 3)):
    model = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["": 22]>
    layer (float[1,2,1] X, float[1,{gates},1] W, float[1,{gates},1] R) => (float[1,1,1] Y_h) {{
        Y, Y_h = {op} <hidden_size = 1, layout = 1> (X, W, R) }}""")
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception as error:
        assert "layout == 1" in str(error), error
        print(op, "is refused:", str(error).strip().rpartition(") ")[2])
    else:
        raise SystemExit("mended")
