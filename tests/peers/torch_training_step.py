"""PyTorch's side of the bench `training_step`: steps and forward passes of encoders with random weights.

Reads lines `<shape> <work> <attention> <batch> <length> <steps> <threads>` (shape: minilm or roberta-base; work: lora,
full or forward; attention: eager or sdpa) and answers each with the seconds that each step took. The line `peak`
is answered with the most memory that the process has held, in KiB. Needs torch, transformers and peft.
"""

import gc
import os
import resource
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

NO_DROPOUT = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def new_model(shape, attention):
    if shape == "minilm":
        config = BertConfig(
            vocab_size=30522,
            hidden_size=384,
            num_hidden_layers=6,
            num_attention_heads=12,
            intermediate_size=1536,
            num_labels=77,
            attn_implementation=attention,
            **NO_DROPOUT,
        )
        return BertForSequenceClassification(config)
    config = RobertaConfig(
        vocab_size=50265,
        max_position_embeddings=514,
        type_vocab_size=1,
        num_labels=2,
        attn_implementation=attention,
        **NO_DROPOUT,
    )
    return RobertaForSequenceClassification(config)


def new_step(shape, work, attention):
    torch.manual_seed(1)
    model = new_model(shape, attention)
    if work != "full":
        lora = LoraConfig(
            task_type=TaskType.SEQ_CLS, r=8, lora_alpha=8, lora_dropout=0.0, target_modules=["query", "value"]
        )
        model = get_peft_model(model, lora)
    model.train(work != "forward")
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3)
    n_labels = model.config.num_labels

    def step(batch, length):
        ids = torch.randint(3, 30000, (batch, length))
        mask = torch.ones_like(ids)
        labels = torch.randint(0, n_labels, (batch,))
        start = time.perf_counter()
        if work == "forward":
            with torch.inference_mode():
                model(input_ids=ids, attention_mask=mask)
        else:
            loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return time.perf_counter() - start

    return step


steps = {}
print("ready", torch.__version__, flush=True)
for line in sys.stdin:
    if line.strip() == "peak":
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
        continue
    shape, work, attention, batch, length, count, threads = line.split()
    torch.set_num_threads(int(threads))
    key = (shape, work, attention)
    if key not in steps:
        # Only models of one shape and one kind of work are held at a time.
        for other in [other for other in steps if other[:2] != key[:2]]:
            del steps[other]
        gc.collect()
        steps[key] = new_step(*key)
    print(*[steps[key](int(batch), int(length)) for _ in range(int(count))], flush=True)
