// The variable-speed systolic array of DTQAtten: how fast it is simulated, how far its closed form is off, and what relief
// from pipeline stalls gains.
//   npm run build && node benchmarks/vssa.mjs
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { readPreset } from '../dist/hardware/preset-files.js';
import { presetConfig } from '../dist/hardware/presets.js';
import { vssa } from '../dist/simulator/vssa.js';
import { STALL_RELIEFS, vssaSchema } from '../dist/simulator/vssa-config.js';
import { headOutcome, playTiles } from '../dist/simulator/vssa-head.js';
import { headParts, headTiles } from '../dist/simulator/vssa-tiles.js';
import { ARCHITECTURE_NOTE } from '../dist/trace/matrices.js';

const preset = presetConfig(readPreset('vssa'), vssaSchema);
const sizes = { headDim: 64, valueDim: 64, pseudoBits: 0, queries: 'all' };

/** `wide` tokens of 8 bits among `tokens`, of which `removed` are gone and the others have 4, in random order. */
function randomBits(random, tokens, wide, removed = 0) {
  const bits = new Uint8Array(tokens)
    .fill(4)
    .fill(8, 0, wide)
    .fill(0, tokens - removed);
  for (let at = tokens - 1; at > 0; at--) {
    const other = uniformInt(random, 0, at);
    [bits[at], bits[other]] = [bits[other], bits[at]];
  }
  return bits;
}

/** Heads of 16 to 256 tokens, with any shares of widths. */
function randomHeads(count) {
  const random = xoroshiro128plus(7);
  return Array.from({ length: count }, () => {
    const tokens = uniformInt(random, 16, 256);
    const wide = uniformInt(random, 0, tokens);
    return randomBits(random, tokens, wide, uniformInt(random, 0, tokens - wide));
  });
}

/** Milliseconds of processor time, of all of the process's threads: other work on the machine does not count. */
function processorTime() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Amounts of `work(head)` per second of processor time, in the fastest of ten spells. */
function rate(heads, work) {
  for (const bits of heads) work(bits);
  let fastest = 0;
  for (let at = 0, spell = 0; spell < 10; spell++) {
    let done = 0;
    const start = processorTime();
    for (; processorTime() - start < 150; at = (at + 1) % heads.length) done += work(heads[at]);
    fastest = Math.max(fastest, (1000 * done) / (processorTime() - start));
  }
  return fastest;
}

/** Heads per second of a whole simulation by estimate: layers of `shared` heads with the same tokens' widths. */
async function simulated(config, heads, shared) {
  const layer = { hidden: 64 * shared, heads: Array.from({ length: shared }, () => ({ kind: 'sdp', dim: 64 })) };
  const architecture = { name: 'random', layers: [{ ...layer, feedForward: [64] }], vocabulary: 1, tokens: 256 };
  const header = { notes: { [ARCHITECTURE_NOTE]: JSON.stringify(architecture) } };
  async function* records() {
    for (const [sequence, bits] of heads.entries()) yield { kind: 'token-bits', sequence, layer: 0, head: -1, bits };
  }
  let fastest = 0;
  for (let spell = 0; spell < 3; spell++) {
    const start = processorTime();
    await vssa.simulate(config, { kind: 'trace', header, records: records() }, { name: 'vssa', fidelity: 'fast' });
    fastest = Math.max(fastest, (1000 * heads.length * shared) / (processorTime() - start));
  }
  return fastest;
}

const cells = (values, widths) => console.log(values.map((value, at) => String(value).padStart(widths[at])).join('  '));

console.log('Speed (of processor time), and error of the closed form, on heads of 16 to 256 tokens, all different');
const widths = [9, 18, 14, 13, 12, 15, 15];
cells(
  ['relief', 'cycle: PE-steps/s', 'cycle: heads/s', 'fast: heads/s', 'mean error', 'largest error', 'of the sum'],
  widths,
);
const heads = randomHeads(200);
const many = randomHeads(16_000);
const percent = (value) => `${(100 * value).toFixed(2)} %`;
const runs = [];
for (const stallRelief of STALL_RELIEFS) {
  const config = { ...preset, stallRelief };
  // Without the memory of equal tiles, so that every step counted is a step played.
  const stream = { ...config, stallRelief: 'chained' };
  const steps = rate(heads.slice(0, 20), (bits) => {
    return playTiles(stream, headTiles(config, headParts(bits, config, sizes), sizes)).peSteps;
  });
  const exact = rate(heads.slice(0, 50), (bits) => headOutcome(config, bits, sizes, 'cycle').counts.heads);
  const fast = rate(heads, (bits) => headOutcome(config, bits, sizes, 'fast').counts.heads);
  const cycles = heads.map((bits) =>
    ['fast', 'cycle'].map((fidelity) => headOutcome(config, bits, sizes, fidelity).counts.arrayCycles),
  );
  const errors = cycles.map(([estimate, truth]) => Math.abs(estimate / truth - 1));
  const [estimated, played] = [0, 1].map((which) => cycles.reduce((sum, both) => sum + both[which], 0));
  const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
  cells(
    [
      stallRelief,
      `${(steps / 1e6).toFixed(0)} M`,
      exact.toFixed(0),
      fast.toFixed(0),
      percent(mean),
      percent(Math.max(...errors)),
      percent(estimated / played - 1),
    ],
    widths,
  );
  runs.push([stallRelief, await simulated(config, many, 1), await simulated(config, many.slice(0, 4000), 4)]);
}

console.log('\nWhole simulations of 16,000 heads by estimate, heads/s: widths for each head, or for layers of four');
cells(['relief', 'each', 'four'], [9, 8, 8]);
for (const [relief, own, shared] of runs) cells([relief, own.toFixed(0), shared.toFixed(0)], [9, 8, 8]);

console.log('\n128 tokens, 64 elements a head: speed-up of the array over all tokens at 8 bits, tile after tile');
const columns = [10, 7, ...STALL_RELIEFS.map(() => 9), 7, 9];
for (const kind of ['scores', 'head']) {
  cells([kind, 'share', ...STALL_RELIEFS, 'ideal', 'grouping'], columns);
  const cyclesOf = (stallRelief, bits) => {
    const config = { ...preset, stallRelief };
    const { tiles, kinds } = headTiles(config, headParts(bits, config, sizes), sizes);
    return playTiles(config, { tiles: tiles.filter((_, at) => kind === 'head' || kinds[at] === kind) }).cycles;
  };
  const dense = cyclesOf('grouped', new Uint8Array(128).fill(8));
  for (const wide of [37, 81]) {
    const random = xoroshiro128plus(1);
    const draws = Array.from({ length: 10 }, () => randomBits(random, 128, wide));
    const speedUps = STALL_RELIEFS.map((relief) => {
      return draws.reduce((sum, bits) => sum + dense / cyclesOf(relief, bits), 0) / draws.length;
    });
    const ideal = 4 / ((128 + wide) / 128) ** 2;
    const numbers = [...speedUps, ideal, speedUps[1] / speedUps[0]].map((value) => value.toFixed(2));
    cells(['', (wide / 128).toFixed(2), ...numbers], columns);
  }
}
