// How fast the stops of bit-serial scores are found: the SIMD kernel against the plain reference, on the same heads.
//   npm run build && node benchmarks/bit-serial.mjs
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { headStops, referenceStops } from '../dist/simulator/leopard-stops.js';

const BITS = 12;
const BITS_PER_STEP = 2;
const LARGEST = 2 ** (BITS - 1) - 1;
/** Range of the quantiser in standard deviations. */
const RANGE = 4;

/** Gaussian Q and K; the threshold prunes about 75 % (0.674 standard deviations of the scores). */
function gaussianHead(tokens, headDim, seed) {
  const random = xoroshiro128plus(seed);
  const gaussian = () =>
    Math.sqrt(-2 * Math.log(1 - uniformFloat64(random))) * Math.cos(2 * Math.PI * uniformFloat64(random));
  const integer = () => Math.max(-LARGEST, Math.min(LARGEST, Math.round((gaussian() / RANGE) * LARGEST)));
  const matrix = () => Int16Array.from({ length: tokens * headDim }, integer);
  return {
    kind: 'attention-head',
    queries: tokens,
    keys: tokens,
    headDim,
    bits: BITS,
    causal: false,
    threshold: 0.674 * (LARGEST / RANGE) ** 2 * Math.sqrt(headDim),
    q: matrix(),
    k: matrix(),
  };
}

/**
 * Best of three runs of at least `seconds`, in million scores per second. The heads take turns: on one and the same, the
 * processor would learn every branch by heart and look twice as fast.
 */
function rate(heads, find, seconds) {
  find(heads[0]);
  let best = 0;
  for (let run = 0; run < 3; run++) {
    const start = performance.now();
    let scores = 0;
    for (let at = 0; performance.now() - start < 1000 * seconds; at = (at + 1) % heads.length) {
      find(heads[at]);
      scores += heads[at].queries * heads[at].keys;
    }
    best = Math.max(best, scores / (performance.now() - start) / 1000);
  }
  return best;
}

const format = { bits: BITS, bitsPerStep: BITS_PER_STEP };
console.log('tokens  dim  kernel M scores/s  reference M scores/s  ratio  equal');
for (const [tokens, headDim] of [
  [64, 64],
  [128, 64],
  [512, 64],
  [128, 128],
]) {
  const heads = Array.from({ length: 16 }, (_, seed) => gaussianHead(tokens, headDim, seed));
  const head = heads[0];
  const expected = referenceStops(head, format).stops;
  const equal = headStops(head, BITS_PER_STEP).stops.every((stop, at) => stop === expected[at]);
  const kernel = rate(heads, (one) => headStops(one, BITS_PER_STEP), 0.5);
  const reference = rate(heads, (one) => referenceStops(one, format), 0.5);
  const cells = [
    String(tokens).padStart(6),
    String(headDim).padStart(4),
    kernel.toFixed(1).padStart(18),
    reference.toFixed(2).padStart(21),
    (kernel / reference).toFixed(0).padStart(6),
    String(equal).padStart(6),
  ];
  console.log(cells.join(' '));
}
