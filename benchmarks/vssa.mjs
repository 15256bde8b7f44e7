// The variable-speed systolic array of DTQAtten: how fast it is simulated, how far its closed form is off, and what relief
// from pipeline stalls gains.
//   npm run build && node benchmarks/vssa.mjs
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { readPreset } from '../dist/hardware/preset-files.js';
import { presetConfig } from '../dist/hardware/presets.js';
import { STALL_RELIEFS, vssaSchema } from '../dist/simulator/vssa-config.js';
import { headOutcome, playTiles } from '../dist/simulator/vssa-head.js';
import { headTiles, tokenParts } from '../dist/simulator/vssa-tiles.js';

const preset = presetConfig(readPreset('vssa'), vssaSchema);
const sizes = { headDim: 64, valueDim: 64 };

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

/** Repeats for a second; @returns how much of `work(head)` was done per second */
function rate(heads, work) {
  for (const bits of heads.slice(0, 8)) work(bits);
  let done = 0;
  const start = performance.now();
  for (let at = 0; performance.now() - start < 1000; at = (at + 1) % heads.length) done += work(heads[at]);
  return (1000 * done) / (performance.now() - start);
}

const cells = (values, widths) => console.log(values.map((value, at) => String(value).padStart(widths[at])).join('  '));

console.log('Speed, and error of the closed form, on heads of 16 to 256 tokens; none is looked up');
const widths = [8, 18, 14, 14, 13, 14];
cells(['relief', 'cycle: PE-steps/s', 'cycle: heads/s', 'fast: heads/s', 'mean |error|', 'largest |error|'], widths);
const heads = randomHeads(200);
for (const stallRelief of STALL_RELIEFS) {
  const config = { ...preset, stallRelief };
  // Without the memory of equal tiles, so that every step counted is a step played.
  const stream = { ...config, stallRelief: 'chained' };
  const steps = rate(heads.slice(0, 20), (bits) => {
    return playTiles(stream, headTiles(config, tokenParts(bits, config), sizes)).peSteps;
  });
  const exact = rate(heads.slice(0, 50), (bits) => headOutcome(config, bits, sizes, 'cycle').counts.heads);
  const fast = rate(heads, (bits) => headOutcome(config, bits, sizes, 'fast').counts.heads);
  const errors = heads.slice(0, 60).map((bits) => {
    const [estimate, truth] = ['fast', 'cycle'].map((fidelity) => headOutcome(config, bits, sizes, fidelity).counts);
    return Math.abs(estimate.arrayCycles / truth.arrayCycles - 1);
  });
  const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
  const percent = (value) => `${(100 * value).toFixed(2)} %`;
  cells(
    [
      stallRelief,
      `${(steps / 1e6).toFixed(0)} M`,
      exact.toFixed(0),
      fast.toFixed(0),
      percent(mean),
      percent(Math.max(...errors)),
    ],
    widths,
  );
}

console.log('\n128 tokens, 64 elements a head: speed-up of the array over all tokens at 8 bits, tile after tile');
const columns = [10, 7, ...STALL_RELIEFS.map(() => 8), 7, 9];
for (const kind of ['scores', 'head']) {
  cells([kind, 'share', ...STALL_RELIEFS, 'ideal', 'grouping'], columns);
  const cyclesOf = (stallRelief, bits) => {
    const config = { ...preset, stallRelief };
    const { tiles, kinds } = headTiles(config, tokenParts(bits, config), sizes);
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
