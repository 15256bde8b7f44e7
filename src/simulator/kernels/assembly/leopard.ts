// Stop steps of bit-serial dot products with early termination, for all scores of an attention head.
//
// With t_n the bits of k seen after step n, R_n the value of the unseen bits and s = ±1 the sign of k, twice the upper
// bound of the score is  Σ q·(2·t_n + R_n·s) + R_n·Σ|q|,  and twice the lower bound has −R_n·Σ|q| instead. So a step is
// one dot product with a precomputed plane w_n = 2·t_n + R_n·s; at the last step R = 0 and the sum is twice the score.
// Callers keep every sum below 2^31 in magnitude.

/**
 * Planes w_1 … w_steps of `keys` keys, laid out [key][step][paddedDim]; `k`: [keys × paddedDim] i16, padded by zeros
 * (the planes of padding are multiplied by zeros of q). `unseen`: R_n per step (i32).
 */
export function preparePlanes(k: usize, keys: i32, paddedDim: i32, unseen: usize, steps: i32, planes: usize): void {
  const bytes = (<usize>paddedDim) << 1;
  let out = planes;
  for (let key = 0; key < keys; key++) {
    const row = k + <usize>key * bytes;
    for (let step = 0; step < steps; step++) {
      const r = i16x8.splat(<i16>load<i32>(unseen + ((<usize>step) << 2)));
      for (let at: usize = 0; at < bytes; at += 16) {
        const value = v128.load(row + at);
        const negative = i16x8.shr_s(value, 15);
        const seen = v128.andnot(i16x8.abs(value), r);
        const w = i16x8.add(i16x8.add(seen, seen), r);
        v128.store(out + at, i16x8.sub(v128.xor(w, negative), negative));
      }
      out += bytes;
    }
  }
}

@inline
function sum4(v: v128): i32 {
  const a = i32x4.add(v, i32x4.shuffle(v, v, 2, 3, 0, 1));
  return i32x4.extract_lane(a, 0) + i32x4.extract_lane(a, 1);
}

@inline
function dot(q: usize, w: usize, bytes: usize): i32 {
  let a = i32x4.dot_i16x8_s(v128.load(q), v128.load(w));
  let b = i32x4.dot_i16x8_s(v128.load(q, 16), v128.load(w, 16));
  let c = i32x4.dot_i16x8_s(v128.load(q, 32), v128.load(w, 32));
  let d = i32x4.dot_i16x8_s(v128.load(q, 48), v128.load(w, 48));
  for (let at: usize = 64; at < bytes; at += 64) {
    a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load(q + at), v128.load(w + at)));
    b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load(q + at, 16), v128.load(w + at, 16)));
    c = i32x4.add(c, i32x4.dot_i16x8_s(v128.load(q + at, 32), v128.load(w + at, 32)));
    d = i32x4.add(d, i32x4.dot_i16x8_s(v128.load(q + at, 48), v128.load(w + at, 48)));
  }
  return sum4(i32x4.add(i32x4.add(a, b), i32x4.add(c, d)));
}

let bestLower: i32 = 0;
let bestScore: i32 = 0;
let bestKey: i32 = 0;
let survivors: i32 = 0;

/**
 * One row: stops[key] = steps | 128 if kept. Leaves the number of survivors and the first key of the largest score
 * among them, and twice the largest lower bound of those that were stopped. `scaledUnseen`: R_n·Σ|q| at index n.
 */
@inline
function scanRow(q: usize, planes: usize, keys: i32, planeBytes: usize, scaledUnseen: usize, steps: i32, threshold2: i32, stops: usize): void {
  bestLower = i32.MIN_VALUE;
  bestScore = i32.MIN_VALUE;
  bestKey = -1;
  survivors = 0;
  const keyBytes = planeBytes * steps;
  const middle = (steps + 1) >> 1;
  for (let key = 0; key < keys; key++) {
    const w = planes + <usize>key * keyBytes - planeBytes;
    // The upper bound never rises from step to step, so the first step below the threshold is found from the middle:
    // downwards if that one is below, else upwards once the last step is known to be below.
    let step = middle;
    let margin = load<i32>(scaledUnseen + ((<usize>middle) << 2));
    let x = dot(q, w + <usize>middle * planeBytes, planeBytes);
    if (x + margin < threshold2) {
      while (step > 1) {
        const earlierMargin = load<i32>(scaledUnseen + ((<usize>step - 1) << 2));
        const earlier = dot(q, w + <usize>(step - 1) * planeBytes, planeBytes);
        if (earlier + earlierMargin >= threshold2) break;
        x = earlier;
        margin = earlierMargin;
        step--;
      }
    } else {
      const score = dot(q, w + keyBytes, planeBytes);
      if (score >= threshold2) {
        store<u8>(stops + <usize>key, <u8>(steps | 128));
        survivors++;
        if (score > bestScore) {
          bestScore = score;
          bestKey = key;
        }
        continue;
      }
      do {
        step++;
        margin = load<i32>(scaledUnseen + ((<usize>step) << 2));
        x = step == steps ? score : dot(q, w + <usize>step * planeBytes, planeBytes);
      } while (x + margin >= threshold2);
    }
    store<u8>(stops + <usize>key, <u8>step);
    bestLower = max(bestLower, x - margin);
  }
}

/**
 * All rows of a head. `q`: [queries × paddedDim] i16; `scaledUnseen`: scratch of `steps` + 1 i32.
 * `stops`: [queries × keys] bytes. A row without survivor is scanned again with its largest lower bound for a
 * threshold: its stops go to the next row of `rescueStops`, its number and the key of its largest score to the next two
 * i32 of `rescues`. Returns the number of such rows.
 */
export function scanHead(
  q: usize,
  queries: i32,
  planes: usize,
  keys: i32,
  causal: bool,
  paddedDim: i32,
  unseen: usize,
  scaledUnseen: usize,
  steps: i32,
  threshold2: i32,
  stops: usize,
  rescueStops: usize,
  rescues: usize,
): i32 {
  const planeBytes = (<usize>paddedDim) << 1;
  let rescued = 0;
  for (let query = 0; query < queries; query++) {
    const row = q + <usize>query * planeBytes;
    let magnitude = 0;
    for (let i = 0; i < paddedDim; i++) magnitude += abs(<i32>load<i16>(row + ((<usize>i) << 1)));
    for (let step = 0; step < steps; step++) {
      const at = (<usize>step) << 2;
      store<i32>(scaledUnseen + at, load<i32>(unseen + at) * magnitude, 4);
    }
    const visible = causal ? min(keys, query + 1) : keys;
    scanRow(row, planes, visible, planeBytes, scaledUnseen, steps, threshold2, stops + <usize>query * keys);
    if (survivors == 0 && visible > 0) {
      scanRow(row, planes, visible, planeBytes, scaledUnseen, steps, bestLower, rescueStops + <usize>rescued * keys);
      store<i32>(rescues + ((<usize>rescued) << 3), query);
      store<i32>(rescues + ((<usize>rescued) << 3), bestKey, 4);
      rescued++;
    }
  }
  return rescued;
}

/** Bit set of the kept scores: bit i is the high bit of stops[i]. Whole groups of 16; `stops` is padded. */
export function packKept(stops: usize, count: i32, bits: usize): void {
  for (let at = 0; at < count; at += 16) {
    store<u16>(bits + ((<usize>at) >> 3), <u16>i8x16.bitmask(v128.load(stops + <usize>at)));
  }
}
