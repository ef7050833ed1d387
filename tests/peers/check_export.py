"""Loads adapters that straggler exported, and compares class scores with those in golden.safetensors.

    STRAGGLER_EXPORT_DIR=DIR cargo test --lib export_for_python -- --ignored
    OMP_NUM_THREADS=1 python tests/peers/check_export.py DIR

The folders in DIR are named like those in tests/peers/methods, and so are the encoders in tests/peers.
"""

import json
import pathlib
import sys
import warnings

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification, logging

warnings.filterwarnings("ignore")
logging.set_verbosity_error()
HERE = pathlib.Path(__file__).resolve().parent
common = json.loads((HERE / "methods" / "batch.json").read_text())
worst = 0.0
for adapter in sorted(path for path in pathlib.Path(sys.argv[1]).iterdir() if path.is_dir()):
    if not (adapter / "adapter_config.json").exists():
        print(f"{adapter.name:28} is none of PEFT's")
        continue
    family = adapter.name.split("-")[0]
    golden = load_file(HERE / "methods" / adapter.name / "golden.safetensors")
    auto = AutoModelForImageClassification if family == "vit" else AutoModelForSequenceClassification
    model = auto.from_pretrained(HERE / family, num_labels=golden["logits"].shape[1], ignore_mismatched_sizes=True)
    model = PeftModel.from_pretrained(model, adapter).eval()
    if family == "vit":
        batch = dict(pixel_values=golden["pixels"])
    else:
        pad, longest = model.config.pad_token_id, max(map(len, common["examples"]))
        ids = [example + [pad] * (longest - len(example)) for example in common["examples"]]
        mask = [[1] * len(example) + [0] * (longest - len(example)) for example in common["examples"]]
        batch = dict(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask))
    with torch.no_grad():
        difference = (model(**batch).logits - golden["logits"]).abs().max().item()
    print(f"{adapter.name:28} largest difference {difference:.1e}")
    worst = max(worst, difference)
sys.exit(worst > 1e-5)
