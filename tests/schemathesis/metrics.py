"""Reads a station's metrics with Prometheus' own parser, and says what is wrong.

    python metrics.py FILE CONTENT-TYPE
"""

import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

file, content_type = sys.argv[1:]
if not content_type.startswith("text/plain; version=0.0.4"):
    sys.exit(f"content-type is {content_type!r}")
families = list(text_string_to_metric_families(Path(file).read_text("utf-8")))
if not families:
    sys.exit("there are no metrics")
seen = set()
for family in families:
    if not family.documentation or family.type == "unknown":
        sys.exit(f"{family.name} has no HELP or no TYPE")
    for sample in family.samples:
        key = (sample.name, tuple(sorted(sample.labels.items())))
        if key in seen:
            sys.exit(f"{key} is told twice")
        seen.add(key)
        if not sample.value >= 0:
            sys.exit(f"{key} is {sample.value}")
print(f"{len(families)} metrics, {len(seen)} samples")
