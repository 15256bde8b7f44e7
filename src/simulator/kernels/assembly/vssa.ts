// Systolic array whose PEs take different times: start and finish of every PE at every step of the inner dimension.
//
//   S(i,j,t) = max(F(i,j,t−1), F(i−1,j,t), F(i,j−1,t), S(i,j+1,t−D), S(i+1,j,t−D)),  F(i,j,t) = S(i,j,t) + a(i)·b(j)·s(t)
//
// D: links hold so many operands. Steps are done in place: when PE (i, j) is looked at, its neighbours above and to the left
// already hold step t, and slot t mod D of the starts still holds step t − D to the right and below.

let fillWait: i64 = 0;
let operandWait: i64 = 0;
let pressureWait: i64 = 0;

/** Waits of all PEs in the tile that ran last: before their first step, for operands, for room in the links. */
export function fill(): f64 {
  return <f64>fillWait;
}
export function operands(): f64 {
  return <f64>operandWait;
}
export function pressure(): f64 {
  return <f64>pressureWait;
}

/**
 * One tile after what ran before. `a`: [rows] i32, `b`: [columns] i32, `s`: [steps] i32. `finish`: [· × stride] i32, last
 * finish of each PE; `start`: `depth` such planes of `plane` bytes, step t in plane t mod depth; `stride` in bytes.
 * `zeros`: a row of zeros. `depth` 0: links without bound. `before`: steps of the array so far.
 */
export function runTile(
  a: usize,
  rows: i32,
  b: usize,
  columns: i32,
  s: usize,
  steps: i32,
  finish: usize,
  start: usize,
  stride: usize,
  plane: usize,
  zeros: usize,
  depth: i32,
  before: i32,
): void {
  let filling: i64 = 0;
  let operandsWaited: i64 = 0;
  let pressed: i64 = 0;
  const bounded = depth > 0 ? -1 : 0;
  const last = (<usize>(columns - 1)) << 2;
  for (let t = 0; t < steps; t++) {
    const st = load<i32>(s + ((<usize>t) << 2));
    const base = depth > 0 ? start + <usize>((before + t) % depth) * plane : start;
    let waited: i32 = 0;
    let forOperands: i32 = 0;
    for (let i = 0; i < rows; i++) {
      const ai = load<i32>(a + ((<usize>i) << 2)) * st;
      const row = <usize>i * stride;
      const own = finish + row;
      const above = i == 0 ? zeros : own - stride;
      const starts = base + row;
      const below = i == rows - 1 || depth == 0 ? zeros : starts + stride;
      let left: i32 = 0;
      for (let at: usize = 0; at <= last; at += 4) {
        const free = load<i32>(own + at);
        const operand = max(left, load<i32>(above + at));
        const right = at == last ? 0 : load<i32>(starts + at, 4) & bounded;
        const ready = max(free, operand);
        const begin = max(ready, max(right, load<i32>(below + at)));
        waited += begin - free;
        forOperands += ready - free;
        left = begin + ai * load<i32>(b + at);
        store<i32>(starts + at, begin);
        store<i32>(own + at, left);
      }
    }
    if (t == 0) {
      filling += waited;
    } else {
      operandsWaited += forOperands;
      pressed += waited - forOperands;
    }
  }
  fillWait = filling;
  operandWait = operandsWaited;
  pressureWait = pressed;
}
