"""TensorRT's ONNX parser ignores layout = 1 of RNN, LSTM and GRU, batch first, without a word.

X of 5 rows and 3 steps is taken for 5 steps of 3 rows: the shapes are wrong, and so are the values.
"""

import onnx.parser
import tensorrt_rtx as trt

print("tensorrt_rtx", trt.__version__)
logger = trt.Logger(trt.Logger.ERROR)
for op, gates in (("RNN", 1), ("LSTM", 4), ("GRU", 3)):
    model = onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["": 17]>
    layer (float[5,3,4] X) => (float[B,T,D,H] Y)
    <float[1,{6 * gates},4] W = {{{",".join("0" * 24 * gates)}}},
     float[1,{6 * gates},6] R = {{{",".join("0" * 36 * gates)}}}> {{
        Y = {op} <hidden_size = 6, layout = 1> (X, W, R) }}""")
    network = trt.Builder(logger).create_network()
    assert trt.OnnxParser(network, logger).parse(model.SerializeToString()), "refused"
    shape = tuple(network.get_output(0).shape)
    print(f"{op} of X (5, 3, 4): Y has the shape {shape}, but should have (5, 3, 1, 6)")
    assert shape == (5, 1, 3, 6), "mended"
