"""Validates every scenario against scenarios/scenario.schema.json with Python's jsonschema, and the schema itself
against draft-07; then takes from each mistake below its refusal.

    pip install jsonschema pyyaml && python tests/peers/check_schema.py
"""

import json
import pathlib
import sys

import jsonschema
import yaml

root = pathlib.Path(__file__).resolve().parents[2] / "scenarios"
schema = json.loads((root / "scenario.schema.json").read_text())
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
problems = []
files = sorted(root.glob("*.yaml"))
for file in files:
    for error in validator.iter_errors(yaml.safe_load(file.read_text())):
        problems.append(f"{file.name}: {error.json_path}: {error.message}")

MISTAKES = [
    ("server.ruonds", 3), ("server.rounds", "many"), ("server.rounds", -1), ("server.deadline", "10"),
    ("server.network.uplink", "10 MB/s"), ("tuning", {"lora": {}, "head": {}}), ("tuning", "lara"),
    ("tuning.lora.alpha", 16), ("clients.dropout", 0.1), ("compute.mode", "fast"), ("evaluation.metric", "auc"),
    ("profiles.async.server.deadlin", None), ("dataset.partition", {"dirichlet_mix": {}}), ("model", None),
]
for path, value in MISTAKES:
    scenario = yaml.safe_load((root / "quickstart.yaml").read_text())
    *way, last = path.split(".")
    node = scenario
    for key in way:
        node = node.setdefault(key, {})
    node[last] = value
    if validator.is_valid(scenario):
        problems.append(f"not refused: {path} = {value!r}")

print("\n".join(problems) or f"{len(files)} scenarios are valid, {len(MISTAKES)} mistakes are refused")
sys.exit(bool(problems))
