"""Puts what the tests share, an arm without a simulator and a driver of Chromium, on the path."""

import sys

from measure import ROOT

sys.path.append(str(ROOT / "tests" / "support"))
