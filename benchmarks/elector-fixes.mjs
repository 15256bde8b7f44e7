// What each error of the published simulators of ELECTOR does to a result. Needs `npm run build`.
//
//     node benchmarks/elector-fixes.mjs
//
// Two ways: an error is put back into the corrected model, all else left as it is; or it is taken out of the published
// one. Prints Markdown tables.
import { readPreset } from '../dist/hardware/preset-files.js';
import { presetConfig } from '../dist/hardware/presets.js';
import { electorComposition } from '../dist/simulator/elector/area.js';
import { operationActions, transferActions } from '../dist/simulator/elector/bill.js';
import { electorSchema } from '../dist/simulator/elector/config.js';
import { WORD_BITS } from '../dist/simulator/elector/constants.js';
import { drawnMask } from '../dist/simulator/elector/masks.js';
import { playParts } from '../dist/simulator/elector/parts.js';
import { buildProgram } from '../dist/simulator/elector/program.js';
import { publishedFast } from '../dist/simulator/elector/published-fast.js';
import { publishedOperations } from '../dist/simulator/elector/published-generator.js';
import { TileCosts, tilesOf } from '../dist/simulator/elector/tile-costs.js';
import { TileEstimates } from '../dist/simulator/elector/tile-estimates.js';
import { elector } from '../dist/simulator/elector.js';
import { sumActions } from '../dist/simulator/engine.js';
import { namedArchitecture } from '../dist/workload/named-transformers.js';

const edge = presetConfig(readPreset('elector-edge'), electorSchema);
const server = presetConfig(readPreset('elector-server'), electorSchema);
const tiny = namedArchitecture('bert-tiny');
const nano = namedArchitecture('nano');
const base = namedArchitecture('bert-base');

/** The three cases of the first table: everything fetched; a later batch, what stayed in place; a large model. */
const CASES = [
  { config: edge, architecture: tiny, resident: false, costs: 'tiles' },
  { config: edge, architecture: tiny, resident: true, costs: 'tiles' },
  { config: server, architecture: base, resident: false, costs: 'estimates' },
];

const density = (config, { mask }) => (mask.content === 'dense' ? 1 : 1 - config.sparsity[mask.content]);

/** Plays a program, altered or not. `timing` alters what the engine and the units see of the configuration. */
function played({ config, architecture, resident, costs }, { program = () => {}, timing = {}, maskOf, tokens } = {}) {
  const built = buildProgram(architecture, config.phase, tokens ?? architecture.tokens);
  program(built);
  const seen = { ...config, ...timing };
  const source = (first, sequences) => ({
    sequences,
    tokens: architecture.tokens,
    mask: (matrix, sequence) => (maskOf ?? drawnMask)(matrix, first + sequence, density(config, matrix)),
  });
  const batch = (held) => {
    const parts = playParts({
      program: built,
      config: seen,
      costs: (first, count) =>
        costs === 'tiles'
          ? new TileCosts(seen, source(first, count), () => 1)
          : new TileEstimates(seen, count, (matrix) => density(config, matrix)),
      sequences: config.batch,
      held,
      alike: costs === 'estimates',
    });
    if (!Array.isArray(parts)) throw new Error(`does not fit: ${parts.operation}`);
    return parts;
  };
  const first = batch();
  const parts = resident ? batch(first.at(-1).played.held) : first;
  return parts.flatMap(({ played: one, times }) => Array.from({ length: times }, () => one));
}

const total = (items, of) => items.reduce((sum, item) => sum + of(item), 0);

/** Cycles, and pJ by component. */
function priced(config, parts, { cycles = total(parts, (part) => part.cycles), operation, transfer } = {}) {
  const actions = sumActions(
    parts.flatMap((part) => [
      ...part.operations.map((one) => (operation ?? operationActions)(one, config)),
      ...part.transfers.map((one) => (transfer ?? transferActions)(one)),
    ]),
  );
  const { picojoules, shares } = electorComposition(config).energy(actions, cycles);
  return { cycles, picojoules, shares };
}

// Errors put back ------------------------------------------------------------------------------------------------------

const PATHS = /buffer$|memory$/;
const GATED = ['MAC lanes', 'softmax', 'layer norm', 'pre-compute sparsity', 'post-compute sparsity'];
const SUB_MODULES = ['FIFOs', 'pre-compute sparsity', 'post-compute sparsity', 'dataflow', 'DMA'];
const corrected = (one) => priced(one.config, played(one));

function reprice(one, change) {
  const result = corrected(one);
  return { ...result, picojoules: total(result.shares, (share) => change(share)) };
}

const all = ({ dynamicPicojoules, leakagePicojoules }) => dynamicPicojoules + leakagePicojoules;

const PUT_BACK = {
  'weights for each sequence of the batch': (one) =>
    priced(
      one.config,
      played(one, {
        program({ matrices, embedding }) {
          for (const matrix of matrices) if (matrix.stored && matrix !== embedding) matrix.shared = false;
        },
      }),
    ),
  'nothing overlaps main memory': (one) => {
    const transfers = total(played(one), (part) => total(part.transfers, ({ start, end }) => end - start));
    const here = played(one, {
      program: ({ matrices }) => {
        for (const matrix of matrices) matrix.stored = false;
      },
    });
    return priced(one.config, played(one), { cycles: transfers + total(here, (part) => part.cycles) });
  },
  'bandwidth: 20 bits a byte instead of 8': (one) => {
    // Bits a cycle follow from the clock, and nothing else in the engine does.
    const { technology } = one.config;
    return priced(
      one.config,
      played(one, { timing: { technology: { ...technology, clockHertz: technology.clockHertz * (8 / WORD_BITS) } } }),
    );
  },
  'accesses: 64 words a block instead of 64 bytes': (one) =>
    reprice(
      one,
      ({ component, dynamicPicojoules, leakagePicojoules }) =>
        dynamicPicojoules * (PATHS.test(component) ? 8 / WORD_BITS : 1) + leakagePicojoules,
    ),
  'a mask costs main memory as much as its data': (one) =>
    priced(one.config, played(one), {
      transfer: (moved) => {
        const { data, mask } = moved.size;
        const actions = transferActions(moved);
        const share = (2 * data) / (data + mask);
        return { ...actions, 'main memory': { access: actions['main memory'].access * share } };
      },
    }),
  'sub-modules cost nothing (as in published-cycle)': (one) =>
    reprice(one, (share) => (SUB_MODULES.includes(share.component) ? 0 : all(share))),
  'sub-modules: each tile of a head keeps all busy (as in published-fast)': (one) => {
    const { pes, lanesPerPe } = one.config;
    const lanes = ['pre-compute sparsity', 'post-compute sparsity'];
    return priced(one.config, played(one), {
      operation: (done, config) => {
        const actions = { ...operationActions(done, config) };
        for (const name of SUB_MODULES) delete actions[name];
        const { kind, name } = done.operation;
        if (!/head\d/.test(name) || (kind !== 'product' && kind !== 'convolution')) return actions;
        const { tiles } = done.dispatch;
        for (const module of SUB_MODULES) {
          actions[module] = { cycle: tiles * pes * (lanes.includes(module) ? lanesPerPe : 1) };
        }
        return actions;
      },
    });
  },
  'modules that are idle leak too (powerGating=false; not in the published)': (one) =>
    priced({ ...one.config, powerGating: false }, played(one)),
  'nothing leaks that is idle, buffers, FIFOs, dataflow and DMA neither': (one) => {
    const parts = played(one);
    const result = priced(one.config, parts);
    const moving = total(parts, (part) => total(part.transfers, ({ start, end }) => end - start));
    // Gated modules leak for their busy cycles only, in the corrected model too.
    const share = (component) => {
      if (GATED.includes(component)) return 1;
      return component === 'weight buffer' || component === 'mask buffer' ? Math.min(1, moving / result.cycles) : 0;
    };
    return {
      ...result,
      picojoules: total(
        result.shares,
        ({ component, dynamicPicojoules, leakagePicojoules }) =>
          dynamicPicojoules + leakagePicojoules * share(component),
      ),
    };
  },
  'a softmax tile claims a whole PE': (one) => {
    const { softmaxPerPe } = one.config;
    return priced(one.config, played(one, { timing: { softmaxPerPe: 1 } }), {
      operation: (done, config) => {
        const actions = operationActions(done, config);
        return actions.softmax ? { ...actions, softmax: { cycle: actions.softmax.cycle * softmaxPerPe } } : actions;
      },
    });
  },
  'non-linearity on the input’s size': (one) =>
    priced(
      one.config,
      played(one, {
        program({ operations }) {
          for (const operation of operations) {
            if (operation.kind !== 'non-linearity') continue;
            operation.input = operations.find(({ writes }) => writes === operation.input).left.matrix;
          }
        },
      }),
    ),
  'a non-linearity takes a cycle for each tile, on all lanes together': (one) => {
    const parts = played(one);
    const extra = total(parts, (part) =>
      total(part.operations, ({ operation, dispatch }) => {
        if (operation.kind !== 'non-linearity') return 0;
        return (
          tilesOf(operation.input, one.config.batch / parts.length, one.config.tile) - (dispatch.end - dispatch.start)
        );
      }),
    );
    // Operations after it wait for it, so that all of it shows.
    return priced(one.config, parts, { cycles: total(parts, (part) => part.cycles) + extra });
  },
};

const number = (value) => Math.round(value).toLocaleString('en-US').replaceAll(',', ' ');
const microjoules = (picojoules) => {
  const value = picojoules / 1e6;
  return value >= 1000 ? number(value) : value.toPrecision(4);
};
const row = (...cells) => console.log(`| ${cells.join(' | ')} |`);
const head = (...cells) => {
  row(...cells);
  console.log(`|${cells.map(() => '---').join('|')}|`);
};
/** With a sign: what the error changes. */
const change = (now, right) => {
  const percent = 100 * (now / right - 1);
  if (Math.abs(percent) < 0.005) return 'none';
  if (percent > 150) return `× ${(now / right).toPrecision(3)}`;
  return `${percent > 0 ? '+' : '−'}${Math.abs(percent).toFixed(Math.abs(percent) < 10 ? 2 : 1)} %`;
};

const rights = CASES.map(corrected);
head(
  'error put back into the corrected model',
  ...['BERT-Tiny, edge, first batch', 'the same, later batches', 'BERT-Base, server, first batch'].flatMap((name) => [
    `${name}: cycles`,
    'energy',
  ]),
);
row(
  'none: corrected',
  ...rights.flatMap(({ cycles, picojoules }) => [number(cycles), `${microjoules(picojoules)} µJ`]),
);
for (const [name, putBack] of Object.entries(PUT_BACK)) {
  const cells = CASES.flatMap((one, at) => {
    const { cycles, picojoules } = putBack(one);
    return [change(cycles, rights[at].cycles), change(picojoules, rights[at].picojoules)];
  });
  row(name, ...cells);
}

// Sizes and zeros that the published models do not ask for ----------------------------------------------------------------

console.log();
head('what the published models do not read (BERT-Tiny, edge, later batches)', 'cycles', 'energy, µJ');
const later = CASES[1];
row(
  '128 tokens, zeros independent of each other, half of all',
  number(rights[1].cycles),
  microjoules(rights[1].picojoules),
);
/** In columns: `share(column)` non-zeros in each. */
const inColumns = (share) => (matrix, sequence, mean) => {
  const mask = drawnMask(matrix, sequence, 1);
  if (matrix.mask.content !== 'activation') return drawnMask(matrix, sequence, mean);
  const kept = drawnMask({ ...matrix, rows: 1, shared: true }, 0, share);
  for (let at = 0; at < mask.nonZero.length; at++) mask.nonZero[at] = kept.nonZero[at % matrix.columns];
  return mask;
};
/** As many non-zeros, in half of the rows (tokens) and none in the others. */
const inRows = (matrix, sequence, mean) => {
  if (matrix.mask.content !== 'activation') return drawnMask(matrix, sequence, mean);
  const mask = drawnMask(matrix, sequence, 1);
  for (let at = 0; at < mask.nonZero.length; at++) mask.nonZero[at] = Math.floor(at / matrix.columns) % 2;
  return mask;
};
const shown = (name, result) => row(name, number(result.cycles), microjoules(result.picojoules));
for (const tokens of [64, 32]) shown(`${tokens} tokens`, priced(edge, played(later, { tokens })));
shown('as many zeros, whole columns of activations', priced(edge, played(later, { maskOf: inColumns(0.5) })));
shown('as many zeros, every other token', priced(edge, played(later, { maskOf: inRows })));
for (const activation of [0.3, 0.7]) {
  const config = { ...edge, sparsity: { ...edge.sparsity, activation } };
  shown(`${100 * activation} % zeros in activations`, priced(config, played({ ...later, config })));
}

// Errors taken out of the published closed form -----------------------------------------------------------------------------

const operationsOf = (config, architecture) =>
  publishedOperations(architecture, { batch: config.batch, tokens: architecture.tokens }, config.phase);
const nanojoules = ({ energy }) =>
  total(Object.values(energy), (part) => (Array.isArray(part) ? part[0] + part[1] : part));
const figures = (result) => [number(result.cycles), microjoules(nanojoules(result) * 1000)];

console.log();
head(
  'error taken out of published-fast',
  'model, machine',
  'cycles with it',
  'energy, µJ',
  'cycles without',
  'energy, µJ',
);
for (const [name, config, architecture] of [
  ['BERT-Tiny, edge', edge, tiny],
  ['BERT-Tiny, edge, training', { ...edge, phase: 'training' }, tiny],
  ['BERT-Base, server', server, base],
]) {
  const operations = operationsOf(config, architecture);
  const now = publishedFast(config, operations);
  row(
    'inner dimension cut into tiles twice',
    name,
    ...figures(now),
    ...figures(publishedFast(config, operations, { innerTilesOnce: true })),
  );
  const shared = operationsOf({ ...config, batch: 1 }, architecture);
  const once = {
    ...operations,
    memory: operations.memory.map((entry, at) => sharedLoads(entry, shared.memory[at])),
  };
  row('weights for each sequence', name, ...figures(now), ...figures(publishedFast(config, once)));
  const without = { ...operations, compute: operations.compute.filter(({ kind }) => kind !== 'non-linearity') };
  row(
    'cycles of a non-linearity = tiles of the last norm (without: 0)',
    name,
    ...figures(now),
    ...figures(publishedFast(config, without)),
  );
}
function sharedLoads(entry, one) {
  if ('heads' in entry) return { heads: entry.heads.map((h, i) => h.map((op, j) => sharedLoads(op, one.heads[i][j]))) };
  return entry.kind === 'load' ? one : entry;
}

// Convolutions ------------------------------------------------------------------------------------------------------------

console.log();
head(
  'convolutions: 2 layers, 2 heads of one kind, width 128',
  'tile',
  'multiplications, published',
  'dense, corrected',
  'cycles, published-fast',
  'fast',
);
for (const kernel of [5, 9, 13])
  for (const edgeOfTile of [8, 16]) {
    const layer = { ...tiny.layers[0], heads: [0, 1].map(() => ({ kind: 'conv', dim: 64, kernel })) };
    const architecture = { ...tiny, layers: [layer, layer] };
    const config = { ...edge, tile: { b: 1, x: edgeOfTile, y: edgeOfTile } };
    const { tile, batch } = config;
    const convolutions = operationsOf(config, architecture)
      .compute.flatMap((entry) => ('heads' in entry ? entry.heads.flat() : []))
      .filter(({ kind }) => kind === 'conv');
    const published = total(
      convolutions,
      ({ left: [b, rows, columns] }) =>
        Math.ceil(b / tile.b) *
        Math.ceil(rows / tile.x) *
        Math.ceil(columns / tile.y) *
        tile.b *
        tile.x *
        (tile.y - kernel),
    );
    const dense = 4 * batch * architecture.tokens * 64 * kernel;
    const cycles = (mode) => elector.simulate({ ...config, mode }, { kind: 'transformer', architecture }, { name: '' });
    row(
      `kernel ${kernel}`,
      `${edgeOfTile} × ${edgeOfTile}`,
      number(published),
      number(dense),
      number((await cycles('published-fast')).cycles),
      number((await cycles('fast')).cycles),
    );
  }

// What the published cycle model does not run -------------------------------------------------------------------------------

console.log();
head('published-cycle', 'edge', 'cycle, the same');
const layerOf = (heads) => ({
  ...nano,
  layers: [{ ...nano.layers[0], heads: Array.from({ length: heads }, () => ({ kind: 'sdp', dim: 16 })) }],
});
const run = async (config, architecture) => {
  const workload = { kind: 'transformer', architecture };
  return elector
    .simulate(config, workload, { name: '' })
    .catch(({ code, message }) => ({ refused: `${code}: ${message}` }));
};
const said = (result) =>
  result.refused ??
  (result.feasible ? `${number(result.cycles)} cycles, ${microjoules(result.energyPicojoules)} µJ` : result.resource);
for (const [name, config, architecture] of [
  ['1 layer, 1 head', edge, layerOf(1)],
  ['1 layer, 2 heads', edge, layerOf(2)],
  ['1 layer, 3 heads', edge, layerOf(3)],
  ['1 layer, 4 heads', edge, layerOf(4)],
  ['BERT-Tiny, training', { ...edge, phase: 'training' }, tiny],
  ['BERT-Tiny', edge, tiny],
]) {
  const published = await run({ ...config, mode: 'published-cycle' }, architecture);
  const { counts } = published;
  const windows = counts
    ? `; ${number(counts.repeatedTiles)} of ${number(counts.tileOperations)} tile operations twice, ${number(counts.skippedTiles)} never`
    : '';
  row(name, said(published) + windows, said(await run(config, architecture)));
}

// Where published and corrected differ ---------------------------------------------------------------------------------------

for (const [name, config, architecture, modes] of [
  ['BERT-Tiny, edge', edge, tiny, ['published-fast', 'published-cycle', 'fast', 'cycle']],
  ['BERT-Tiny, edge, training', { ...edge, phase: 'training' }, tiny, ['published-fast', 'fast', 'cycle']],
  ['BERT-Base, server', server, base, ['published-fast', 'fast', 'cycle']],
]) {
  console.log();
  const results = await Promise.all(modes.map((mode) => run({ ...config, mode }, architecture)));
  head(`${name}: µJ, dynamic + leakage`, ...modes);
  row('cycles', ...results.map(({ cycles }) => number(cycles)));
  const modules = [...new Set(results.flatMap(({ energy }) => energy.map(({ component }) => component)))];
  for (const module of modules) {
    const cells = results.map(({ energy }) => energy.find(({ component }) => component === module));
    const shown = (cell) =>
      cell ? `${microjoules(cell.dynamicPicojoules)} + ${microjoules(cell.leakagePicojoules)}` : '';
    row(module, ...cells.map(shown));
  }
  row('total', ...results.map(({ energyPicojoules }) => microjoules(energyPicojoules)));
}
