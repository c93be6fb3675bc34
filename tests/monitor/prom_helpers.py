from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families


def samples(path: Path) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the values by name, and by their labels but for the run's, sorted by name."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(path.read_text("utf-8")):
        for sample in family.samples:
            assert sample.labels["run"] == path.stem
            others = tuple(v for k, v in sorted(sample.labels.items()) if k != "run")
            found.setdefault(sample.name, {})[others] = sample.value
    return found


def value(path: Path, name: str, *labels: str) -> float:
    return samples(path)[f"tweetscore_{name}"][labels]
