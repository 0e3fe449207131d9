"""One row of the benchmarks, and the constants of its neurons."""

from dataclasses import asdict, dataclass

TAU_MEM, TAU_SYN, V_TH, DT = 1e-2, 5e-3, 0.6, 1e-3
LEAK, DECAY = DT / TAU_MEM, DT / TAU_SYN
SLOPE = 80.0  # of SuperSpike
MAX_RATE = 500.0  # hertz, of the value 1
DELTA_THRESHOLD = 0.5
PHASE_BITS = 10
# `Linear` and neurons: the membrane alone, or behind an exponential synapse (CubaLIF)
LAYERS = ("LIF layer", "CubaLIF layer")


@dataclass(frozen=True)
class Case:
    """One row: `kind` of work, in the direction `mode`, of `n` channels over `steps`.

    For layers `n` is the width, with `batch` examples; for the Yin-Yang epoch the number of
    batches, and `epochs` those after which accuracies are compared.
    """

    kind: str
    n: int
    steps: int
    mode: str = "forward"
    dtype: str = "float32"
    batch: int = 1
    epochs: int = 0

    @property
    def name(self) -> str:
        return "/".join(str(v) for v in asdict(self).values())

    @property
    def train_bytes(self) -> int:
        """Bytes of one float32 spike train of this size."""
        return 4 * self.n * self.steps * self.batch
