"""The steps before the nightly runs: training, export to ONNX, and the parity gate."""

import os

# As in scorer.inference.runtime: Optimum may load ONNX Runtime before that is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
