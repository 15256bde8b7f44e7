// The machine for early exit: how fast it is simulated, how far its closed form is off, and what it gains where tokens of GPT-2
// need 12 / 2.6 of its layers on average. The exits are drawn, not measured: 13 % of the tokens run all layers, the others
// any number up to half of them.
//   npm run build && node benchmarks/toex-machine.mjs
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { readPreset } from '../dist/hardware/preset-files.js';
import { presetConfig } from '../dist/hardware/presets.js';
import { measureExits, stretchedExits } from '../dist/simulator/stretched-exits.js';
import { toex } from '../dist/simulator/toex.js';
import { TOEX_NOTE } from '../dist/trace/exits.js';
import { ARCHITECTURE_NOTE } from '../dist/trace/matrices.js';
import { namedTransformer } from '../dist/workload/named-transformers.js';

const LAYERS = 12;
const TOKENS = 512;
const PROMPT = 64;

function drawn(sequence) {
  const random = xoroshiro128plus(7 + sequence);
  const exits = Uint16Array.from({ length: TOKENS }, () => {
    return uniformInt(random, 0, 999) < 131 ? LAYERS : uniformInt(random, 1, LAYERS / 2);
  }).fill(LAYERS, 0, PROMPT);
  return { kind: 'token-exits', sequence, layers: LAYERS, prompt: PROMPT, exits };
}

const sequences = [0, 1].map(drawn);
const header = {
  layers: LAYERS,
  headsPerLayer: [],
  notes: {
    [ARCHITECTURE_NOTE]: JSON.stringify(namedTransformer('gpt2')),
    [TOEX_NOTE]: JSON.stringify({ checks: Array.from({ length: LAYERS - 1 }, (_, at) => at + 1), candidates: 300 }),
  },
};
async function* stream(records) {
  yield* records;
}
const profile = await measureExits(header, stream(sequences), sequences.length);
const configOf = (preset, change = {}) => ({ ...presetConfig(readPreset(preset), toex.schema), ...change });

async function play(config, model = 'gpt2', fidelity = 'cycle') {
  const { header: stretched, records } = stretchedExits(profile, namedTransformer(model), { tokens: TOKENS });
  const workload = { kind: 'trace', header: stretched, records: stream(records) };
  const result = await toex.simulate(config, workload, { name: 'bench', fidelity });
  if (!result.feasible) throw new Error(JSON.stringify(result));
  return result;
}

const cells = (values, widths) => console.log(values.map((value, at) => String(value).padStart(widths[at])).join('  '));
const percent = (value) => `${(100 * value).toFixed(1)} %`;
const times = (value) => `${value.toFixed(2)}×`;
const checksOf = ({ parts }) =>
  parts.find(({ layer }) => layer === 'exit checks') ?? { cycles: 0, energyPicojoules: 0 };

console.log(
  `Speed: tokens simulated per second, ${sequences.length} sequences of ${TOKENS} tokens, one thread, best of three`,
);
const speed = [12, 10, 14, 14, 12];
cells(['model', 'machine', 'cycle', 'fast', 'fast error'], speed);
for (const [model, preset] of [
  ['gpt2', 'toex-hbm2'],
  ['gpt2', 'toex-dense'],
  ['gpt2-xl', 'toex-hbm2'],
]) {
  const rates = {};
  const cycles = {};
  for (const fidelity of ['cycle', 'fast']) {
    rates[fidelity] = 0;
    for (let repeat = 0; repeat < 3; repeat++) {
      const start = performance.now();
      cycles[fidelity] = (await play(configOf(preset), model, fidelity)).cycles;
      rates[fidelity] = Math.max(rates[fidelity], (1000 * TOKENS * sequences.length) / (performance.now() - start));
    }
  }
  const error = percent(cycles.fast / cycles.cycle - 1);
  cells([model, preset.slice(5), ...['cycle', 'fast'].map((one) => rates[one].toFixed(0)), error], speed);
}

console.log('\nAgainst the same machine without ToEx');
const gain = [12, 10, 9, 9, 9, 9, 13, 13];
cells(['model', 'memory', 'decoders', 'words', 'time', 'energy', 'checks, time', 'and energy'], gain);
for (const memory of ['hbm2', 'ddr4']) {
  for (const model of ['gpt2', 'gpt2-medium', 'gpt2-large', 'gpt2-xl']) {
    const config = configOf(`toex-${memory}`);
    const [dense, some] = [await play({ ...config, tokens: 'dense' }, model), await play(config, model)];
    const words = ({ counts }) =>
      counts.weightBytes +
      counts.outputEmbeddingBytes +
      counts.candidateBytes +
      counts.keyValueBytesRead +
      (config.exit.lightEmbedding === 'dram' ? counts.lightEmbeddingBytes : 0);
    const ratios = [
      dense.counts.decodersLoaded / some.counts.decodersLoaded,
      words(dense) / words(some),
      dense.cycles / some.cycles,
      dense.energyPicojoules / some.energyPicojoules,
    ];
    const checks = checksOf(some);
    const shares = [checks.cycles / some.cycles, checks.energyPicojoules / some.energyPicojoules];
    cells([model, memory, ...ratios.map(times), ...shares.map(percent)], gain);
  }
}

console.log('\nGPT-2 small with HBM2: one choice changed at a time');
const config = configOf('toex-hbm2');
const choices = [
  ['as the preset', {}],
  ['signs streamed', { exit: { ...config.exit, lightEmbedding: 'dram' } }],
  ['full output embedding', { outputEmbedding: 'full' }],
  ['candidates at the end', { finalLogits: 'candidates' }],
  ['states propagated', { backFill: 'propagate' }],
  ['no back-fill', { backFill: 'none' }],
  ['1 row', { engine: { ...config.engine, rows: 1 } }],
  ['2 rows', { engine: { ...config.engine, rows: 2 } }],
  ['4 rows', { engine: { ...config.engine, rows: 4 } }],
  ['8 rows', { engine: { ...config.engine, rows: 8 } }],
  ['32 rows', { engine: { ...config.engine, rows: 32 } }],
];
const choice = [24, 9, 9, 13, 13, 14];
cells(['choice', 'time', 'energy', 'checks, time', 'token-layers', 'engine busy'], choice);
for (const [name, change] of choices) {
  const changed = { ...config, ...change };
  const [dense, some] = [await play({ ...changed, tokens: 'dense' }), await play(changed)];
  cells(
    [
      name,
      times(dense.cycles / some.cycles),
      times(dense.energyPicojoules / some.energyPicojoules),
      percent(checksOf(some).cycles / some.cycles),
      percent(some.counts.tokenLayers / dense.counts.tokenLayers),
      percent(some.utilisation.engine),
    ],
    choice,
  );
}
