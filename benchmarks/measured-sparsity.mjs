// What the published constants (zeros: activations 0.5, weights 0.5, gradients 0.9) do to cycles and energy, against the zeros
// that runs measured. Usage: npm run build && node benchmarks/measured-sparsity.mjs [--json] RUN_FOLDER …
// A folder of `tandem run experiments/transcode/dynatran.yaml` gives inference, one of dynaprop.yaml inference and training.
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { simulateMachines } from '../dist/experiment/simulate.js';
import { openTrace, resolveMachine, silentProgress, summariseTrace } from '../dist/index.js';

const words = process.argv.slice(2);
const json = words.includes('--json');
const folders = words.filter((word) => !word.startsWith('--'));
const CONSTANTS = { forward: 0.5, weight: 0.5, backward: 0.9, update: 0.9 };

/** Of a record: activations, weights, gradients of activations, gradients of weights. */
const kindOf = ({ phase, matrix }) => (phase === 'forward' && matrix.includes('weight') ? 'weight' : phase);

/** Share of zeros by kind. `mapped` lets a matrix have a share of its own. */
async function zeroShares(file) {
  const { matrices } = await summariseTrace(await openTrace(file));
  const totals = {};
  const byMatrix = new Map();
  for (const { phase, layer, matrix, zeros, elements } of matrices) {
    const kind = kindOf({ phase, matrix });
    totals[kind] ??= { zeros: 0, elements: 0 };
    const total = totals[kind];
    total.zeros += zeros;
    total.elements += elements;
    byMatrix.set(`${phase}/${layer}/${matrix}`, zeros / elements);
  }
  const byKind = Object.fromEntries(Object.entries(totals).map(([kind, sum]) => [kind, sum.zeros / sum.elements]));
  return { byKind, byMatrix };
}

/** The trace with zeros drawn independently of each other, in the share that `shareOf` says of a record. */
function redrawn(file, shareOf) {
  return {
    kind: 'trace',
    name: file,
    size: undefined,
    async open() {
      const { header, records } = await openTrace(file);
      async function* stream() {
        const generator = xoroshiro128plus(1);
        for await (const record of records) {
          if (record.kind !== 'mask') continue;
          const nonZero = new Uint8Array(record.nonZero.length);
          const limit = (1 - shareOf(record)) * 2 ** 32;
          const bits = Math.ceil(record.rows / record.tile[0]) * Math.ceil(record.columns / record.tile[1]);
          for (let bit = 0; bit < bits; bit++) if (generator.next() >>> 0 < limit) nonZero[bit >> 3] |= 1 << (bit & 7);
          yield { ...record, nonZero };
        }
      }
      return { kind: 'trace', header, records: stream() };
    },
  };
}

async function compare(file, phase) {
  // Room for all weights and masks, so that they are loaded once.
  const set = { 'buffers.weightMegabytes': 32, 'buffers.maskMegabytes': 4, phase };
  const machine = resolveMachine({ preset: 'elector-edge', set });
  const dense = resolveMachine({ preset: 'elector-edge', name: 'dense', set: { ...set, sparsityModules: false } });
  const play = async (source, one = machine) => {
    const [result] = await simulateMachines([one], source, { progress: silentProgress });
    if (!result.feasible) throw new Error(`${file}: ${result.resource}`);
    return { cycles: result.cycles, microjoules: result.energyPicojoules / 1e6 };
  };
  const { byKind, byMatrix } = await zeroShares(file);
  const measured = await play(redrawnNot(file));
  const rows = [
    ['measured masks', measured],
    ['constants 0.5 / 0.5 / 0.9', await play(redrawn(file, (record) => CONSTANTS[kindOf(record)]))],
    [
      'constants, weights as measured',
      await play(redrawn(file, (record) => (kindOf(record) === 'weight' ? byKind : CONSTANTS)[kindOf(record)])),
    ],
    ['measured mean of each kind', await play(redrawn(file, (record) => byKind[kindOf(record)]))],
    [
      'measured mean of each matrix',
      await play(redrawn(file, ({ phase: of, layer, matrix }) => byMatrix.get(`${of}/${layer}/${matrix}`))),
    ],
    ['no sparsity modules', await play(redrawnNot(file), dense)],
  ].map(([zeros, { cycles, microjoules }]) => ({
    zeros,
    cycles,
    microjoules: Number(microjoules.toFixed(1)),
    'cycles, % of measured': Number(((100 * cycles) / measured.cycles).toFixed(1)),
    'energy, % of measured': Number(((100 * microjoules) / measured.microjoules).toFixed(1)),
  }));
  return { run: basename(join(file, '..')), phase, zeroPercent: percent(byKind), rows };
}

const percent = (shares) =>
  Object.fromEntries(Object.entries(shares).map(([kind, share]) => [kind, Number((100 * share).toFixed(1))]));

/** The trace as it is. */
const redrawnNot = (file) => ({
  kind: 'trace',
  name: file,
  size: undefined,
  async open() {
    const { header, records } = await openTrace(file);
    return { kind: 'trace', header, records };
  },
});

const results = [];
for (const folder of folders) {
  results.push(await compare(join(folder, 'run.trace'), 'inference'));
  const training = join(folder, 'training.trace');
  if (existsSync(training)) results.push(await compare(training, 'training'));
}
if (json) console.log(JSON.stringify(results, null, 2));
else {
  for (const { run, phase, zeroPercent, rows } of results) {
    console.log(`${run}, ${phase}: zeros in %`, zeroPercent);
    console.table(rows);
  }
}
