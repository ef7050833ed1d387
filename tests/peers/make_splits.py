"""Values that the tests of src/data/validation/scikit_learn.rs expect, by scikit-learn.

    python -m venv v && v/bin/pip install scikit-learn && v/bin/python tests/peers/make_splits.py

FedPETuning (tools/glue_scripts/glue.py) holds the validation rows of a GLUE task back by
train_test_split(rows, labels, test_size=ratio, random_state=42). For each number of rows the program prints how many rows
are held back, the first of them, their sum, and the sum of (place from 1) x (row): two orders of the same rows differ in it.
"""

import numpy
import sklearn
from sklearn.model_selection import train_test_split

print("numpy", numpy.__version__, "scikit-learn", sklearn.__version__)
GLUE = dict(SST2=(67_349, 0.01), COLA=(8_551, 0.1), QNLI=(104_743, 0.01), QQP=(363_846, 0.01), MNLI=(392_702, 0.01))
GLUE |= dict(MRPC=(3_668, 0.1), RTE=(2_490, 0.1), WNLI=(635, 0.1))
for name, (n, ratio) in (dict(TEN=(10, 0.25)) | GLUE).items():
    rows = list(range(n))
    train, held_back, _, _ = train_test_split(rows, rows, test_size=ratio, random_state=42)
    assert len(train) + len(held_back) == n
    weighted = sum(place * row for place, row in enumerate(held_back, 1))
    print(f"({n}, {ratio}, {len(held_back)}, {held_back[:4]}, {sum(held_back)}, {weighted}), // {name}")
    if n == 10:
        print("//", held_back, train)
print("permutation of 8 with seed 7:", numpy.random.RandomState(7).permutation(8).tolist())
