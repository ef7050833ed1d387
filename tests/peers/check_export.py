"""Loads an encoder and an adapter that straggler exported, and compares class scores with golden.json.

    python tests/peers/check_export.py ENCODER_DIR ADAPTER_DIR GOLDEN_JSON
"""

import json
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

encoder, adapter, golden = sys.argv[1:]
golden = json.load(open(golden))
model = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=len(golden["logits"][0]))
model = PeftModel.from_pretrained(model, adapter).eval()
pad = model.config.pad_token_id
longest = max(map(len, golden["examples"]))
ids = torch.tensor([example + [pad] * (longest - len(example)) for example in golden["examples"]])
mask = torch.tensor([[1] * len(example) + [0] * (longest - len(example)) for example in golden["examples"]])
with torch.no_grad():
    logits = model(input_ids=ids, attention_mask=mask).logits
worst = (logits - torch.tensor(golden["logits"])).abs().max().item()
print(f"largest difference {worst:.2e}")
sys.exit(worst > 1e-5)
