// AccelTran's published figures beside Tandem's: area, sensitivity to zeros, ablations. Needs `npm run build`.
//
//     node benchmarks/elector-published.mjs
import { readPreset } from '../dist/hardware/preset-files.js';
import { presetConfig } from '../dist/hardware/presets.js';
import { electorComposition } from '../dist/simulator/elector/area.js';
import { operationActions, transferActions } from '../dist/simulator/elector/bill.js';
import { electorSchema } from '../dist/simulator/elector/config.js';
import { drawnMask } from '../dist/simulator/elector/masks.js';
import { playParts } from '../dist/simulator/elector/parts.js';
import { buildProgram } from '../dist/simulator/elector/program.js';
import { TileCosts } from '../dist/simulator/elector/tile-costs.js';
import { sumActions } from '../dist/simulator/engine.js';
import { namedArchitecture } from '../dist/workload/named-transformers.js';

const edge = presetConfig(readPreset('elector-edge'), electorSchema);
const server = presetConfig(readPreset('elector-server'), electorSchema);
const tiny = namedArchitecture('bert-tiny');

const row = (...cells) => console.log(`| ${cells.join(' | ')} |`);
const head = (...cells) => {
  row(...cells);
  console.log(`|${cells.map(() => '---').join('|')}|`);
};
const total = (items, of) => items.reduce((sum, item) => sum + of(item), 0);

// Area ----------------------------------------------------------------------------------------------------------------

const MODULES = {
  softmax: ['softmax'],
  'sparsity modules': ['pre-compute sparsity', 'post-compute sparsity'],
  'layer norm': ['layer norm'],
  'MAC lanes': ['MAC lanes'],
  'dataflow, FIFOs, DMA': ['dataflow', 'FIFOs', 'DMA'],
};
const PIE = {
  softmax: 60.2,
  'sparsity modules': 20.3,
  'layer norm': 13.9,
  'MAC lanes': 4.2,
  'dataflow, FIFOs, DMA': 1.4,
};
const { shares } = electorComposition(edge).area();
const areaOf = (names) =>
  total(
    shares.filter(({ component }) => names.includes(component)),
    (s) => s.squareMicrometres,
  );
const ofPe = areaOf(Object.values(MODULES).flat());
head('area of a PE (edge)', 'published pie, %', 'Tandem, %');
for (const [name, parts] of Object.entries(MODULES)) row(name, PIE[name], ((100 * areaOf(parts)) / ofPe).toFixed(1));
console.log();
head('area of the chip, mm²', 'published', 'Tandem');
const mm2 = (config) => (electorComposition(config).areaSquareMicrometres / 1e6).toFixed(2);
row('edge', 55.12, mm2(edge));
row('server', 1950.95, mm2(server));

// Runs ----------------------------------------------------------------------------------------------------------------

/** One batch; cycles and mJ. Without sparsity modules a zero counts as any value. */
function run(config, resident) {
  const share = ({ mask }) =>
    mask.content === 'dense' || !config.sparsityModules ? 1 : 1 - config.sparsity[mask.content];
  const batch = (held) =>
    playParts({
      program: buildProgram(tiny, config.phase, tiny.tokens),
      config,
      costs: (first, sequences) => new TileCosts(config, source(first, sequences), () => 1),
      sequences: config.batch,
      held,
      alike: false,
    });
  const source = (first, sequences) => ({
    sequences,
    tokens: tiny.tokens,
    mask: (matrix, sequence) => drawnMask(matrix, first + sequence, share(matrix)),
  });
  const once = batch();
  if (!Array.isArray(once)) return undefined;
  const parts = resident ? batch(once.at(-1).played.held) : once;
  const plays = parts.map(({ played }) => played);
  const actions = sumActions(
    plays.flatMap(({ operations, transfers }) => [
      ...operations.map((one) => operationActions(one, config)),
      ...transfers.map((one) => transferActions(one)),
    ]),
  );
  const cycles = total(plays, (one) => one.cycles);
  const millijoules = electorComposition(config).energy(actions, cycles).picojoules / 1e9;
  const perSecond = (config.batch * config.technology.clockHertz) / cycles;
  return {
    cycles,
    perSecond,
    millijoules: millijoules / config.batch,
    watts: (millijoules / config.batch / 1e3) * perSecond,
  };
}

const ratio = (value, reference) => (value / reference).toFixed(2);
console.log();
head(
  'zeros (edge, BERT-Tiny), %',
  'published throughput',
  'energy',
  'first batch: throughput',
  'energy',
  'later batches: throughput',
  'energy',
);
const PUBLISHED = { 30: [1, 1], 31: [1.01, 0.99], 32: [1.03, 0.99], 33: [1.04, 0.99], 34: [1.05, 0.98] };
const at = (percent, resident) => {
  const zeros = percent / 100;
  return run({ ...edge, sparsity: { ...edge.sparsity, activation: zeros, weight: zeros } }, resident);
};
const references = [at(30, false), at(30, true)];
for (const [percent, published] of Object.entries(PUBLISHED)) {
  const cells = [at(percent, false), at(percent, true)].flatMap((result, which) => [
    ratio(result.perSecond, references[which].perSecond),
    ratio(result.millijoules, references[which].millijoules),
  ]);
  row(percent, ...published.map((value) => value.toFixed(2)), ...cells);
}

const ABLATIONS = [
  ['all of it', {}, [172180, 0.1396, 24.04]],
  [
    'without DynaTran (no zeros in activations)',
    { sparsity: { ...server.sparsity, activation: 0 } },
    [93333, 0.1503, 14.03],
  ],
  [
    'without weight pruning (no zeros in weights)',
    { sparsity: { ...server.sparsity, weight: 0 } },
    [163484, 0.2009, 32.85],
  ],
  ['without sparsity modules', { sparsityModules: false }, [90410, 0.2701, 24.42]],
  ['without stacked RRAM (DRAM 32, 2, 1)', { memory: 'dram-32-2-1' }, [88736, 0.1737, 15.42]],
];
for (const batch of [4, 32]) {
  console.log();
  head(
    `BERT-Tiny on the server, batch ${batch}`,
    'published: seq/s',
    'mJ/seq',
    'W',
    'first batch: seq/s',
    'mJ/seq',
    'W',
    'later batches: seq/s',
    'mJ/seq',
    'W',
  );
  for (const [name, changes, published] of ABLATIONS) {
    const config = { ...server, ...changes, batch };
    const cells = [false, true].flatMap((resident) => {
      const result = run(config, resident);
      if (!result) return ['does not fit', '', ''];
      return [Math.round(result.perSecond), result.millijoules.toPrecision(4), result.watts.toFixed(2)];
    });
    row(name, ...published, ...cells);
  }
}
