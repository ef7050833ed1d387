"""Values that the tests of src/report/compare/statistics.rs expect, by SciPy.

    python -m venv v && v/bin/pip install scipy && v/bin/python tests/peers/make_statistics.py
"""

import numpy
import scipy
from scipy import stats

print("scipy", scipy.__version__)

five = [0.912, 0.905, 0.921, 0.899, 0.917]
mean, sd = numpy.mean(five), numpy.std(five, ddof=1)
print("five: mean", repr(float(mean)), "sd", repr(float(sd)))
print("five: 95 % interval", [repr(float(x)) for x in stats.t.interval(0.95, 4, mean, sd / numpy.sqrt(5))])

base = [0.925, 0.907, 0.941, 0.895, 0.934]
other = [0.912, 0.905, 0.921, 0.899, 0.917]
differences = [-0.013, -0.002, -0.02, 0.004, -0.017]
assert numpy.allclose(numpy.subtract(other, base), differences)
t = stats.ttest_1samp(differences, 0)
print("paired: t", repr(float(t.statistic)), "p", repr(float(t.pvalue)))
print("paired: related samples give", stats.ttest_rel(other, base))
print("paired: Wilcoxon", stats.wilcoxon(differences, method="exact"))

three = stats.ttest_1samp([1, 2, 3], 0)
print("1, 2, 3: t", repr(float(three.statistic)), "p", repr(float(three.pvalue)))
print("1, 2, 3: Wilcoxon", stats.wilcoxon([1, 2, 3], method="exact"))
tied = stats.wilcoxon([-1, 1, 2], method=stats.PermutationMethod())
print("-1, 1, 2: Wilcoxon with a tie", tied)
eight = [0.8, -0.3, 1.1, 0.45, -0.05, 0.9, 0.62, -0.71]
print("eight: Wilcoxon", stats.wilcoxon(eight, method="exact"))
print("quantiles of t at 0.975:", [repr(float(stats.t.ppf(0.975, df))) for df in (1, 2, 3, 4, 9, 29, 99)])
