"""How many actors a Ray cluster has room for, and what each of them gets. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scorer.errors import DeviceUnavailable, UsageError
from scorer.run_options import ModelSpec


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """Actors, and what Ray grants to each."""

    actors: int
    threads: int
    gpus: int  # 0 or 1

    @classmethod
    def of(cls, nodes: Sequence[Mapping[str, Any]], spec: ModelSpec, files: int) -> "ClusterPlan":
        """Divide a cluster: an actor per GPU with its share of the CPUs, or else an actor per CPU.

        More actors use CPUs better than more threads do; only where there are fewer files than
        CPUs does an actor have several.

        Args:
            nodes: As `ray.nodes` lists them.
            spec: Of a run: the device auto takes the GPUs if there are any; threads are those of
                each actor, and decided here if nobody says.
            files: More actors than that would have nothing to do.
        """
        alive = [node["Resources"] for node in nodes if node["Alive"]]
        cpus = [int(each.get("CPU", 0)) for each in alive]
        gpus = [int(each.get("GPU", 0)) for each in alive]
        wants_gpu = spec.device == "cuda" or (spec.device == "auto" and any(gpus))
        if wants_gpu and not any(gpus):
            raise DeviceUnavailable(
                "no node of the Ray cluster has a GPU", "use --device cpu, or another cluster"
            )
        usable = [(c, g) for c, g in zip(cpus, gpus, strict=True) if c and (g or not wants_gpu)]
        if not usable:
            raise DeviceUnavailable("no node of the Ray cluster has a CPU to give", "start workers")
        if wants_gpu:
            each = spec.threads or max(1, min(c // g for c, g in usable))
            room = sum(min(g, c // each) for c, g in usable)
        else:
            least, all_cpus = min(c for c, _ in usable), sum(c for c, _ in usable)
            each = spec.threads or max(1, min(least, all_cpus // files))
            room = sum(c // each for c, _ in usable)
        if not room:
            raise UsageError(
                f"no node of the Ray cluster has {each} CPUs for an actor", "lower --threads"
            )
        return cls(min(room, files), each, int(wants_gpu))

    def as_json(self) -> dict[str, int]:
        """Return what the manifest says of it."""
        return {"actors": self.actors, "threads": self.threads, "gpus": self.gpus}
