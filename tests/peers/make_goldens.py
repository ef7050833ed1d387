"""Writes the files beside it: tiny encoders with PEFT adapters, and what PyTorch computes with them.

Run once with torch 2.15, transformers 5.23 and peft 0.21:

    OMP_NUM_THREADS=1 python tests/peers/make_goldens.py

For each family a directory with the encoder as transformers saves it (BERT as an old pytorch_model.bin, whose layer
normalisation has `gamma` and `beta`), a LoRA adapter as PEFT saves it, and golden.json: inputs, class scores, and the
losses and trained tensors of three AdamW steps. In masked_lm a RoBERTa with its pretraining head, and the scores over
the vocabulary at two tokens.
"""

import json
import pathlib
import shutil

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
)

HERE = pathlib.Path(__file__).resolve().parent
SHAPE = dict(
    vocab_size=60,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=32,
    max_position_embeddings=24,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    num_labels=3,
)
FAMILIES = {
    "roberta": (RobertaConfig(type_vocab_size=1, layer_norm_eps=1e-5, **SHAPE), RobertaForSequenceClassification),
    "bert": (BertConfig(type_vocab_size=2, **SHAPE), BertForSequenceClassification),
}
EXAMPLES = [[2, 17, 5, 33, 9, 3], [2, 8, 3], [2, 59, 21, 11, 3], [2, 40, 41, 42, 43, 44, 45, 3]]
LABELS = [2, 0, 1, 0]
TRAINING = dict(learning_rate=0.01, weight_decay=0.1, max_grad_norm=0.5, steps=3)


def collate(pad):
    longest = max(len(example) for example in EXAMPLES)
    ids = torch.tensor([example + [pad] * (longest - len(example)) for example in EXAMPLES])
    mask = torch.tensor([[1] * len(example) + [0] * (longest - len(example)) for example in EXAMPLES])
    return ids, mask


def stir(parameters, generator):
    """Values far from initialisation, so that every tensor matters."""
    with torch.no_grad():
        for parameter in parameters:
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)


def train(model, inputs):
    """Three steps as Hugging Face's trainer takes them: two groups, clipping, linear decay."""
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    is_decayed = lambda name: not name.endswith(".bias") and "LayerNorm" not in name
    groups = [
        {"params": [p for name, p in named if is_decayed(name)], "weight_decay": TRAINING["weight_decay"]},
        {"params": [p for name, p in named if not is_decayed(name)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=TRAINING["learning_rate"], eps=1e-8)
    steps = TRAINING["steps"]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (steps - step) / steps)
    losses = []
    for _ in range(steps):
        loss = model(**inputs, labels=torch.tensor(LABELS)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for _, p in named], TRAINING["max_grad_norm"])
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    trained = {}
    for name, parameter in named:
        # PEFT's own names while it trains, without what it leaves out when it saves.
        name = name.replace("base_model.model.", "").replace(".default", "").replace(".modules_to_save", "")
        trained[name] = parameter.detach().flatten().tolist()
    return losses, trained


def old_names(name):
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


for family, (config, classifier) in FAMILIES.items():
    target = HERE / family
    shutil.rmtree(target, ignore_errors=True)
    torch.manual_seed(7)
    generator = torch.Generator().manual_seed(7)
    model = classifier(config)
    stir(model.parameters(), generator)
    # The adapter brings the head; the checkpoint is the encoder alone, with the prefix of a model with a head.
    encoder = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("classifier")}
    if family == "bert":
        target.mkdir()
        torch.save({old_names(name): tensor for name, tensor in encoder.items()}, target / "pytorch_model.bin")
        config.save_pretrained(target)
    else:
        model.save_pretrained(target, state_dict=encoder)
    lora = LoraConfig(
        r=2,
        lora_alpha=4,
        target_modules=["query", "value", "intermediate.dense"],
        modules_to_save=["classifier"],
        task_type="SEQ_CLS",
    )
    model = get_peft_model(model, lora)
    stir([parameter for parameter in model.parameters() if parameter.requires_grad], generator)
    model.eval()
    model.save_pretrained(target / "adapter")
    (target / "adapter" / "README.md").unlink(missing_ok=True)
    ids, mask = collate(config.pad_token_id)
    inputs = dict(input_ids=ids, attention_mask=mask)
    with torch.no_grad():
        logits = model(**inputs).logits.tolist()
    losses, trained = train(model, inputs)
    golden = dict(
        examples=EXAMPLES, labels=LABELS, logits=logits, training=dict(**TRAINING, losses=losses, trained=trained)
    )
    (target / "golden.json").write_text(json.dumps(golden) + "\n")
    print(family, sorted(load_file(target / "adapter" / "adapter_model.safetensors")))

target = HERE / "masked_lm"
shutil.rmtree(target, ignore_errors=True)
torch.manual_seed(8)
model = RobertaForMaskedLM(FAMILIES["roberta"][0]).eval()
stir(model.parameters(), torch.Generator().manual_seed(8))
model.save_pretrained(target)
example, at = EXAMPLES[0], [1, 4]
with torch.no_grad():
    logits = model(input_ids=torch.tensor([example])).logits[0, at].tolist()
(target / "golden.json").write_text(json.dumps(dict(example=example, positions=at, logits=logits)) + "\n")
