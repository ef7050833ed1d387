"""PyTorch's side of the bench `lora_step`: one LoRA step of an encoder of MiniLM's shape, on one thread.

Reads lines `<attention> <steps>` (attention: eager or sdpa) and answers each with the seconds that each step took.
Needs torch, transformers and peft.
"""

import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import BertConfig, BertForSequenceClassification

torch.set_num_threads(1)
torch.manual_seed(1)

BATCH, LENGTH, LABELS = 16, 64, 77


def training_step(attention):
    config = BertConfig(
        vocab_size=30522,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels=LABELS,
        attn_implementation=attention,
    )
    lora = LoraConfig(
        task_type=TaskType.SEQ_CLS, r=8, lora_alpha=8, lora_dropout=0.0, target_modules=["query", "value"]
    )
    model = get_peft_model(BertForSequenceClassification(config), lora)
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    ids = torch.randint(0, 30522, (BATCH, LENGTH))
    mask = torch.ones_like(ids)
    labels = torch.randint(0, LABELS, (BATCH,))

    def step():
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


steps = {attention: training_step(attention) for attention in ("eager", "sdpa")}
print("ready", torch.__version__, flush=True)
for line in sys.stdin:
    attention, count = line.split()
    seconds = []
    for _ in range(int(count)):
        start = time.perf_counter()
        steps[attention]()
        seconds.append(time.perf_counter() - start)
    print(*seconds, flush=True)
