"""Writes `methods` beside it: adapters of PEFT on the encoders of make_goldens.py, and what PyTorch computes with them.

Run by hand with torch 2.15, transformers 5.23 and peft 0.21, after make_goldens.py:

    OMP_NUM_THREADS=1 python tests/peers/make_method_goldens.py

For each family and method a directory with the adapter as PEFT saves it, values stirred, and golden.safetensors: class
scores, losses of three AdamW steps, and for each trained tensor its gradient at the start and its value at the end.
"""

import json
import pathlib
import shutil
import warnings

import torch
from peft import IA3Config, LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification, logging

warnings.filterwarnings("ignore")
logging.set_verbosity_error()
HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = [[2, 17, 5, 33, 9, 3], [2, 8, 3], [2, 19, 21, 11, 3], [2, 30, 31, 32, 33, 34, 35, 3]]
LABELS = [2, 0, 1, 0]
TRAINING = dict(learning_rate=0.01, weight_decay=0.1, max_grad_norm=0.5, steps=3)
TEXT = dict(task_type="SEQ_CLS")
# PEFT finds these in the configuration of BERT, but not in that of DistilBERT.
SHAPE = dict(token_dim=16, num_layers=2, num_attention_heads=4)


def methods(family):
    head = ["pre_classifier", "classifier"] if family == "distilbert" else ["classifier"]
    names = {
        "bert": ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"],
        "distilbert": ["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"],
        "vit": ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"],
    }
    query, key, value, out, wide, narrow = names.get(family, names["bert"])
    task = {} if family == "vit" else TEXT
    lora = dict(r=2, lora_alpha=3, target_modules=[query, value, wide], modules_to_save=list(head), **task)
    yield "lora", LoraConfig(**lora)
    yield "rslora", LoraConfig(use_rslora=True, **{**lora, "target_modules": [key, out]})
    yield "lora-bias-all", LoraConfig(bias="all", **lora)
    yield "lora-bias-only", LoraConfig(bias="lora_only", **lora)
    ia3 = dict(target_modules=[key, value, narrow], feedforward_modules=[narrow])
    yield "ia3", IA3Config(modules_to_save=list(head), **ia3, **task)
    if family == "bert":
        yield "lora-pooler", LoraConfig(**{**lora, "modules_to_save": ["classifier", "pooler"]})
    if family in ("roberta", "distilbert"):
        # PEFT wraps `word_embeddings` and its like inside `embeddings` once more; it cannot load what it saves then.
        yield "lora-embeddings", LoraConfig(**{**lora, "modules_to_save": head + ["embeddings"]})
    if family != "vit":
        yield "prompt", PromptTuningConfig(num_virtual_tokens=3, modules_to_save=list(head), **TEXT, **SHAPE)
    if family in ("bert", "roberta"):
        yield "prefix", PrefixTuningConfig(num_virtual_tokens=3, **TEXT)
        yield "prefix-projection", PrefixTuningConfig(
            num_virtual_tokens=3, prefix_projection=True, encoder_hidden_size=5, **TEXT
        )


def stir(parameters, generator, scale):
    with torch.no_grad():
        for parameter in parameters:
            parameter += scale * torch.randn(parameter.shape, generator=generator)


def leave_unreached(model, batch):
    """Freezes what training does not reach: of a module that PEFT wraps twice, a third copy."""
    model(**batch, labels=torch.tensor(LABELS)).loss.backward()
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.grad is not None)
    model.zero_grad()


def inputs(family, config):
    if family == "vit":
        shape = (len(LABELS), config.num_channels, config.image_size, config.image_size)
        return dict(pixel_values=torch.randn(shape, generator=torch.Generator().manual_seed(3)))
    longest = max(map(len, EXAMPLES))
    pad = config.pad_token_id
    ids = torch.tensor([example + [pad] * (longest - len(example)) for example in EXAMPLES])
    mask = torch.tensor([[1] * len(example) + [0] * (longest - len(example)) for example in EXAMPLES])
    return dict(input_ids=ids, attention_mask=mask)


def plain(name):
    """PEFT's own names while it trains, without what it leaves out when it saves."""
    for part in ("base_model.model.", "base_model.", "prompt_encoder.default.", ".default", ".modules_to_save"):
        name = name.replace(part, "")
    return name


def train(model, batch):
    """Three steps as Hugging Face's trainer takes them: two groups, clipping, linear decay."""
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    is_decayed = lambda name: not name.endswith(".bias") and "norm" not in name.lower()
    groups = [
        {"params": [p for name, p in named if is_decayed(name)], "weight_decay": TRAINING["weight_decay"]},
        {"params": [p for name, p in named if not is_decayed(name)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=TRAINING["learning_rate"], eps=1e-8)
    steps = TRAINING["steps"]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (steps - step) / steps)
    # Where it starts is what PEFT saved, but for the network of a prefix, of which PEFT saves the outcome.
    has_network = any("transform." in name for name, _ in named)
    golden = {f"start.{plain(name)}": p.detach().clone() for name, p in named if has_network}
    losses = []
    for step in range(steps):
        loss = model(**batch, labels=torch.tensor(LABELS)).loss
        loss.backward()
        if step == 0:
            golden.update({f"gradient.{plain(name)}": p.grad.detach().clone() for name, p in named if p.grad is not None})
        torch.nn.utils.clip_grad_norm_([p for _, p in named], TRAINING["max_grad_norm"])
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
    golden.update({f"trained.{plain(name)}": p.detach().clone() for name, p in named})
    golden["losses"] = torch.stack(losses)
    return golden


target = HERE / "methods"
shutil.rmtree(target, ignore_errors=True)
target.mkdir()
(target / "batch.json").write_text(json.dumps(dict(examples=EXAMPLES, labels=LABELS, training=TRAINING)) + "\n")
for family in ("bert", "roberta", "distilbert", "vit"):
    if not (HERE / family).is_dir():
        print("no encoder", family)
        continue
    auto = AutoModelForImageClassification if family == "vit" else AutoModelForSequenceClassification
    for name, config in methods(family):
        torch.manual_seed(7)
        generator = torch.Generator().manual_seed(7)
        no_dropout = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        if family == "distilbert":
            no_dropout = dict(dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0)
        model = auto.from_pretrained(HERE / family, num_labels=3, ignore_mismatched_sizes=True, **no_dropout).eval()
        model = get_peft_model(model, config)
        model.eval()
        batch = inputs(family, model.config)
        leave_unreached(model, batch)
        stir([p for _, p in model.named_parameters() if p.requires_grad], generator, 0.2)
        folder = target / f"{family}-{name}"
        model.save_pretrained(folder)
        # Where the base model lay says nothing elsewhere.
        saved = folder / "adapter_config.json"
        saved.write_text(json.dumps(json.loads(saved.read_text()) | {"base_model_name_or_path": None}, indent=2))
        (folder / "README.md").unlink(missing_ok=True)
        with torch.no_grad():
            logits = model(**batch).logits
        golden = train(model, batch)
        golden["logits"] = logits
        if family == "vit":
            golden["pixels"] = batch["pixel_values"]
        save_file({key: value.contiguous() for key, value in golden.items()}, folder / "golden.safetensors")
        print(family, name, len(golden))
