"""What a compiled program does, read from its text: launches, traffic, cycles, collectives.

The text is XLA's HLO after optimisation, as `compiled.as_text()` gives it for a GPU or a TPU.
"""

import functools as ft
import re
from dataclasses import dataclass

# instructions that run nothing: names, and what contains instructions of its own
_FREE = {
    "parameter",
    "constant",
    "tuple",
    "get-tuple-element",
    "bitcast",
    "after-all",
    "partition-id",
    "replica-id",
    "opt-barrier",
}
_ARRAY = re.compile(r"(pred|bf16|f8\w*|[suf]\d+|c\d+)\[([\d,]*)\]")
_COLLECTIVE = (
    "all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute|collective-broadcast"
)


@dataclass(frozen=True)
class Instruction:
    """One line: `name = type opcode(operands), attributes`."""

    name: str
    type: str
    opcode: str
    operands: tuple[str, ...]
    attributes: str
    is_root: bool

    @property
    def bytes(self) -> int:
        """Of the result, all arrays of a tuple together."""
        return sum(_size(kind, shape) for kind, shape in _ARRAY.findall(self.type))

    def called(self, *names: str) -> str | None:
        """The computation in the first of these attributes that there is."""
        for name in names:
            if found := re.search(rf"\b{name}=%?([\w.\-]+)", self.attributes):
                return found.group(1)
        return None


def _size(kind: str, shape: str) -> int:
    bits = 8 if kind == "pred" else int(re.findall(r"\d+", kind)[0])
    count = 1
    for n in shape.split(","):
        count *= int(n) if n else 1
    return count * max(bits, 8) // 8


class Program:
    """A compiled program. Loops count as often as they run."""

    def __init__(self, text: str):
        self.computations: dict[str, dict[str, Instruction]] = {}
        self.entry = ""
        current: dict[str, Instruction] = {}
        for line in text.splitlines():
            header = re.match(r"(ENTRY )?%?([\w.\-]+) .*\{\s*$", line)
            if header and not line.startswith(" "):
                current = self.computations.setdefault(header.group(2), {})
                self.entry = header.group(2) if header.group(1) else self.entry
            elif instruction := _instruction(line):
                current[instruction.name] = instruction

    @property
    def launches(self) -> int:
        """Kernels that a GPU starts."""
        return self._total(lambda _, __: 1)

    @property
    def traffic(self) -> int:
        """Bytes that the kernels read and write, of a slice only the slice."""
        return self._total(self._kernel_bytes)

    @property
    def cycles(self) -> int:
        """XLA's own estimate for a TPU."""

        def estimate(_, instruction: Instruction) -> int:
            found = re.search(r'"estimated_cycles":"(\d+)"', instruction.attributes)
            return int(found.group(1)) if found else 0

        return self._total(estimate)

    @property
    def collectives(self) -> list[str]:
        """The communication between devices, each as often as it is written."""
        return [instruction.opcode for instruction in self._exchanges()]

    @property
    def exchanged(self) -> int:
        """The bytes that each device gets from the others, each exchange once."""
        return sum(instruction.bytes for instruction in self._exchanges())

    def _exchanges(self) -> list[Instruction]:
        return [
            instruction
            for computation in self.computations.values()
            for instruction in computation.values()
            if re.fullmatch(rf"(?:{_COLLECTIVE})(?:-start)?", instruction.opcode)
        ]

    def moved(self, least: int) -> list[str]:
        """Copies and transposes of arrays of at least so many bytes, outside of fusions."""
        return [
            f"{instruction.opcode} {instruction.type}"
            for computation in self._run_from_entry()
            for instruction in self.computations[computation].values()
            if instruction.opcode in ("copy", "transpose") and instruction.bytes >= least
        ]

    def _run_from_entry(self) -> list[str]:
        """The computations that run as such, and not within a kernel."""
        found, waiting = [], [self.entry]
        while waiting:
            name = waiting.pop()
            found.append(name)
            for instruction in self.computations[name].values():
                if instruction.opcode in ("while", "call", "conditional"):
                    waiting += filter(None, [instruction.called("body", "to_apply", "calls")])
        return found

    def _total(self, cost) -> int:
        @ft.cache
        def of(name: str) -> int:
            total = 0
            for instruction in self.computations[name].values():
                opcode = instruction.opcode
                if opcode == "while":
                    body = instruction.called("body")
                    total += self._trips(instruction) * (of(body) if body else 0)
                elif opcode in ("call", "async-start"):
                    inner = instruction.called("to_apply", "calls", "called_computations")
                    total += of(inner) if inner else 0
                elif opcode == "conditional":
                    branches = re.findall(r"%([\w.\-]+)", instruction.attributes)
                    total += max((of(b) for b in branches if b in self.computations), default=0)
                elif opcode not in _FREE and not opcode.endswith("-done"):
                    total += cost(name, instruction)
            return total

        return of(self.entry)

    def _trips(self, loop: Instruction) -> int:
        """How often a loop runs: known to XLA, or the bound in its condition."""
        if known := re.search(r'known_trip_count":\{"n":"(\d+)"', loop.attributes):
            return int(known.group(1))
        bounds, waiting = [], [loop.called("condition")]
        while waiting:
            name = waiting.pop()
            for instruction in self.computations.get(name or "", {}).values():
                if instruction.opcode == "constant" and instruction.type.startswith("s32[]"):
                    bounds += map(int, re.findall(r"^(-?\d+)", instruction.attributes))
                if instruction.opcode == "fusion":
                    waiting.append(instruction.called("calls"))
        return max(bounds, default=1)

    def _kernel_bytes(self, computation: str, instruction: Instruction) -> int:
        around = self.computations[computation]
        sizes = [around[name].bytes if name in around else 0 for name in instruction.operands]
        inside = self.computations.get(instruction.called("calls") or "")
        if instruction.opcode == "fusion" and inside is not None:
            parameters = sorted(
                (i for i in inside.values() if i.opcode == "parameter"),
                key=lambda i: int(re.findall(r"^\d+", i.attributes)[0]),
            )
            reads = sum(
                _read(inside, parameter.name, size)
                for parameter, size in zip(parameters, sizes, strict=False)
            )
            root = next(i for i in inside.values() if i.is_root)
            return reads + _written(inside, root)
        if instruction.opcode in ("dynamic-slice", "slice"):
            return 2 * instruction.bytes
        if instruction.opcode == "dynamic-update-slice":
            return 2 * sizes[1]
        return sum(sizes) + instruction.bytes


def _read(inside: dict[str, Instruction], name: str, size: int) -> int:
    """The bytes of a fusion's parameter that it reads."""
    total = 0
    for use in inside.values():
        if name not in use.operands:
            continue
        if use.opcode == "bitcast":
            total += _read(inside, use.name, size)
        elif use.opcode in ("dynamic-slice", "slice") and use.operands[0] == name:
            total += use.bytes
        elif not (use.opcode == "dynamic-update-slice" and use.operands[0] == name):
            return size
    return min(total, size)


def _written(inside: dict[str, Instruction], root: Instruction) -> int:
    """The bytes that a fusion writes: of an update in place, the update."""
    if root.opcode == "tuple":
        return sum(_written(inside, inside[name]) for name in root.operands)
    if root.opcode == "bitcast" and root.operands and root.operands[0] in inside:
        return _written(inside, inside[root.operands[0]])
    if root.opcode == "dynamic-update-slice":
        return inside[root.operands[1]].bytes
    return root.bytes


def _instruction(line: str) -> Instruction | None:
    found = re.match(r"\s+(ROOT )?%?([\w.\-]+) = (.*)$", line)
    if not found:
        return None
    rest = found.group(3)
    end = _closing(rest, 0) + 1 if rest.startswith("(") else rest.index(" ")
    opcode, _, after = rest[end:].strip().partition("(")
    close = _closing("(" + after, 0) - 1
    inner, attributes = after[:close], after[close + 1 :]
    operands = tuple(re.findall(r"%([\w.\-]+)", inner))
    if opcode in ("parameter", "constant"):
        attributes = inner
    return Instruction(
        found.group(2), rest[:end], opcode, operands, attributes, bool(found.group(1))
    )


def _closing(text: str, start: int) -> int:
    """Where the parenthesis at `start` is closed."""
    depth = 0
    for i in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return i
    return len(text)
