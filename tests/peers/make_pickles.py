"""Makes the pickles that the importers of FedScale's traces are tested with: `python3 tests/peers/make_pickles.py`."""

import pickle
from pathlib import Path

FOLDER = Path(__file__).parent / "pickles"

capacity = {
    2: {"computation": 20.5, "communication": 4000},
    10: {"computation": 100, "communication": 512.5},
}
behaviour = {
    1: {
        "duration": 211625,
        "inactive": [50, 200, 500],
        "finish_time": 400,
        "active": [0, 100, 300],
        "model": "CPH1801",
    },
    7: {"duration": 1, "inactive": [], "finish_time": 86400, "active": [10], "model": "x"},
}
files = {
    "capacity_0": (capacity, 0),
    "capacity_4": (capacity, 4),
    "capacity_zero": ({3: {"computation": 0, "communication": 1}}, 4),
    "behaviour_2": (behaviour, 2),
    "behaviour_reversed": ({5: {"inactive": [10], "finish_time": 400, "active": [20]}}, 4),
}
FOLDER.mkdir(exist_ok=True)
for name, (data, protocol) in files.items():
    (FOLDER / f"{name}.pickle").write_bytes(pickle.dumps(data, protocol=protocol))
