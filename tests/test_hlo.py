"""What `benchmarks/accelerators.py` counts in the text of a compiled program."""

from pathlib import Path

import pytest
from conftest import module_at

FILE = Path(__file__).parents[1] / "benchmarks" / "common" / "hlo.py"

pytestmark = pytest.mark.skipif(not FILE.exists(), reason="outside the source tree")

# a loop of 10 iterations: in each, one kernel reads a row of 8 numbers and writes one
TEXT = """
HloModule jit_f, is_scheduled=true

%one_row (param_0.1: f32[10,8], param_1.1: f32[10,8], param_2.1: s32[]) -> f32[10,8] {
  %param_0.1 = f32[10,8]{1,0} parameter(0)
  %param_1.1 = f32[10,8]{1,0} parameter(1)
  %param_2.1 = s32[] parameter(2)
  %zero = s32[] constant(0)
  %row = f32[1,8]{1,0} dynamic-slice(%param_1.1, %param_2.1, %zero), dynamic_slice_sizes={1,8}
  %twice = f32[1,8]{1,0} add(%row, %row)
  ROOT %out = f32[10,8]{1,0} dynamic-update-slice(%param_0.1, %twice, %param_2.1, %zero)
}

%body (arg: (s32[], f32[10,8], f32[10,8])) -> (s32[], f32[10,8], f32[10,8]) {
  %arg = (s32[], /*index=1*/f32[10,8]{1,0:T(8,128)S(1)}, f32[10,8]{1,0}) parameter(0)
  %t = s32[] get-tuple-element(%arg), index=0
  %outs = f32[10,8]{1,0} get-tuple-element(%arg), index=1
  %xs = f32[10,8]{1,0} get-tuple-element(%arg), index=2
  %kernel = f32[10,8]{1,0} fusion(%outs, %xs, %t), kind=kLoop, calls=%one_row, """ + (
    """backend_config={"estimated_cycles":"7"}
  ROOT %next = (s32[], f32[10,8]{1,0}, f32[10,8]{1,0}) tuple(%t, %kernel, %xs)
}

%condition (arg.1: (s32[], f32[10,8], f32[10,8])) -> pred[] {
  %arg.1 = (s32[], f32[10,8]{1,0}, f32[10,8]{1,0}) parameter(0)
  %bound = s32[] constant(10)
  %t.1 = s32[] get-tuple-element(%arg.1), index=0
  ROOT %less = pred[] compare(%t.1, %bound), direction=LT
}

ENTRY %main (x: f32[10,8]) -> f32[10,8] {
  %x = f32[10,8]{1,0} parameter(0)
  %start = s32[] constant(0)
  %copied = f32[10,8]{1,0} copy(%x)
  %state = (s32[], f32[10,8]{1,0}, f32[10,8]{1,0}) tuple(%start, %copied, %x)
  %loop = (s32[], f32[10,8]{1,0}, f32[10,8]{1,0}) while(%state), """
    """condition=%condition, body=%bodyKNOWN
  %result = f32[10,8]{1,0} get-tuple-element(%loop), index=1
  %reduced = (f32[10,8]{1,0}, f32[]) all-reduce-start(%result, %result), to_apply=%one_row
  ROOT %done = f32[10,8]{1,0} all-reduce-done(%reduced)
}
"""
)
KNOWN = ', backend_config={"known_trip_count":{"n":"10"}}'


@pytest.fixture(params=["", KNOWN], ids=["bound", "known"])
def program(request):
    return module_at(FILE).Program(TEXT.replace("KNOWN", request.param))


def test_a_loop_counts_as_often_as_it_runs(program):
    assert program.launches == 1 + 10 + 1  # the copy, the loop, the exchange
    assert program.cycles == 10 * 7


def test_traffic_counts_of_a_slice_the_slice(program):
    array = 10 * 8 * 4
    copy, loop = 2 * array, 10 * (8 * 4 + 4 + 8 * 4)  # a row, its place, and a row
    exchange = 2 * array + (array + 4)
    assert program.traffic == copy + loop + exchange


def test_collectives_of_several_arrays_are_found(program):
    assert program.collectives == ["all-reduce-start"]
    assert program.exchanged == 10 * 8 * 4 + 4


def test_copies_outside_of_kernels_are_found_by_size(program):
    assert program.moved(least=320) == ["copy f32[10,8]{1,0}"]
    assert program.moved(least=321) == []
