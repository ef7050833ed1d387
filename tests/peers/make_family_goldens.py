"""Writes tests/peers/{distilbert,vit}: tiny encoders with their heads, and what PyTorch computes with them.

Run once with torch 2.15 and transformers 5.23:

    OMP_NUM_THREADS=1 python tests/peers/make_family_goldens.py

In each directory the model in two shards (DistilBERT as transformers saves it; ViT as pytorch_model-0000n-of-00002.bin
with the names that it has in memory, which differ from those that transformers saves), and golden.json: inputs, class
scores, the loss, and of each tensor's gradient the sum of squares. Prints how many parameters the encoders of
`shape-only:` models have in transformers.
"""

import json
import pathlib
import shutil

import torch
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertModel,
    RobertaConfig,
    RobertaModel,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = [[2, 17, 5, 33, 9, 3], [2, 8, 3], [2, 39, 21, 11, 3], [2, 30, 31, 32, 33, 34, 35, 3]]
LABELS = [2, 0, 1, 0]


def stir(model, generator):
    """Values far from initialisation, so that every tensor matters."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)


def golden(model, inputs):
    """Scores without dropout, the loss, and each gradient's sum of squares."""
    model.eval()
    out = model(**inputs, labels=torch.tensor(LABELS))
    out.loss.backward()
    squares = {name: parameter.grad.double().square().sum().item() for name, parameter in model.named_parameters()}
    return dict(labels=LABELS, logits=out.logits.tolist(), loss=out.loss.item(), gradients=squares)


def fresh(name):
    target = HERE / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    return target


def distilbert():
    torch.manual_seed(9)
    config = DistilBertConfig(
        vocab_size=40, dim=16, n_layers=2, n_heads=4, hidden_dim=24, max_position_embeddings=20, num_labels=3
    )
    model = DistilBertForSequenceClassification(config)
    stir(model, torch.Generator().manual_seed(9))
    target = fresh("distilbert")
    model.save_pretrained(target, max_shard_size="12KB")
    longest = max(map(len, EXAMPLES))
    ids = torch.tensor([example + [0] * (longest - len(example)) for example in EXAMPLES])
    mask = torch.tensor([[1] * len(example) + [0] * (longest - len(example)) for example in EXAMPLES])
    values = golden(model, dict(input_ids=ids, attention_mask=mask))
    (target / "golden.json").write_text(json.dumps(dict(examples=EXAMPLES, **values)) + "\n")


def vit():
    torch.manual_seed(10)
    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=24,
        image_size=6,
        patch_size=2,
        num_channels=3,
        num_labels=3,
    )
    model = ViTForImageClassification(config)
    generator = torch.Generator().manual_seed(10)
    stir(model, generator)
    target = fresh("vit")
    config.save_pretrained(target)
    tensors = model.state_dict()
    names = list(tensors)
    shards = {"pytorch_model-00001-of-00002.bin": names[:14], "pytorch_model-00002-of-00002.bin": names[14:]}
    for file, part in shards.items():
        torch.save({name: tensors[name].clone() for name in part}, target / file)
    weight_map = {name: file for file, part in shards.items() for name in part}
    size = sum(tensor.numel() * 4 for tensor in tensors.values())
    index = dict(metadata=dict(total_size=size), weight_map=weight_map)
    (target / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2) + "\n")
    pixels = torch.randn((4, 3, 6, 6), generator=generator)
    values = golden(model, dict(pixel_values=pixels))
    (target / "golden.json").write_text(json.dumps(dict(pixels=pixels.flatten().tolist(), **values)) + "\n")


def count(name, model):
    print(f"{name:32}{sum(parameter.numel() for parameter in model.parameters()):>14,}")


def known_shapes():
    roberta = dict(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1)
    large = dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
    with torch.device("meta"):
        count("roberta-base", RobertaModel(RobertaConfig(**roberta), add_pooling_layer=False))
        count("roberta-large", RobertaModel(RobertaConfig(**roberta, **large), add_pooling_layer=False))
        count("bert-base-uncased", BertModel(BertConfig()))
        count("bert-large-uncased", BertModel(BertConfig(**large)))
        small = dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
        count("all-MiniLM-L6-v2", BertModel(BertConfig(**small)))
        count("distilbert-base-uncased", DistilBertModel(DistilBertConfig()))
        count("vit-base-patch16-224", ViTModel(ViTConfig(), add_pooling_layer=False))
        count("vit-large-patch16-224", ViTModel(ViTConfig(**large), add_pooling_layer=False))


distilbert()
vit()
known_shapes()
