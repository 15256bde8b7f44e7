// How far ELECTOR's mode fast (closed form) is from its mode cycle (tile by tile). Needs `npm run build`.
//
//     node benchmarks/elector-fidelity.mjs [--points 200] [--seed 20230327] [--worst 5] [--json]
//
// Points are drawn uniformly and independently, from a fixed seed: transformers like FlexiBERT's (1 to 3 layers, all head
// kinds, hidden sizes up to 512, one or two feed-forward stacks), machines of TransCODE's design space with at most 16,384
// lanes, shares of zeros from 0 to 0.95, forward pass alone or training. Points whose batch has no room, or that take more
// than 8 million tile products, are drawn again. Two measures: a whole first batch, with BERT's vocabulary to load; and a
// later batch, whose embedding lies in its buffer, so that less of the time is main memory's.
import { parseArgs } from 'node:util';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { electorSchema, LOOP_ORDERS } from '../dist/simulator/elector/config.js';
import { TECHNOLOGY } from '../dist/simulator/elector/constants.js';
import { EMBEDDING } from '../dist/simulator/elector/embedding.js';
import { play } from '../dist/simulator/elector/engine.js';
import { assumedDensity, drawnMasks } from '../dist/simulator/elector/masks.js';
import { buildProgram } from '../dist/simulator/elector/program.js';
import { TileCosts } from '../dist/simulator/elector/tile-costs.js';
import { TileEstimates } from '../dist/simulator/elector/tile-estimates.js';

const MOST_LANES = 16_384;
const MOST_TILES = 8e6;
const TOKENS = 128;
const VOCABULARY = 30_522;
const HEADS = ['sdp', 'wma', 'dft', 'dct', 'conv5', 'conv9', 'conv13'];

const { values: args } = parseArgs({
  options: {
    points: { type: 'string', default: '200' },
    seed: { type: 'string', default: '20230327' },
    worst: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});

const generator = xoroshiro128plus(Number(args.seed));
const whole = (from, to) => uniformInt(generator, from, to);
const one = (values) => values[whole(0, values.length - 1)];
const list = (length, make) => Array.from({ length }, make);

function drawTransformer() {
  const layers = list(whole(1, 3), () => {
    const hidden = one([128, 256, 512]);
    const heads = one([2, 4, 8, 12]);
    const dim = Math.floor(hidden / heads);
    return {
      hidden,
      heads: list(heads, () => head(one(HEADS), dim)),
      feedForward: list(whole(1, 2), () => one([256, 512, 1024, 2048])),
    };
  });
  return { name: 'drawn', layers, vocabulary: VOCABULARY, tokens: TOKENS };
}

const head = (kind, dim) =>
  kind.startsWith('conv') ? { kind: 'conv', dim, kernel: Number(kind.slice('conv'.length)) } : { kind, dim };

function drawMachine() {
  const size = (name) => one(EMBEDDING.find((dimension) => dimension.name === name).values);
  const edge = size('tile.x');
  const share = () => whole(0, 95) / 100;
  return electorSchema.parse({
    technology: TECHNOLOGY,
    phase: one(['inference', 'training']),
    tile: { b: size('tile.b'), x: edge, y: edge },
    pes: size('pes'),
    lanesPerPe: size('lanesPerPe'),
    macsPerLane: size('macsPerLane'),
    softmaxPerPe: size('softmaxPerPe'),
    batch: size('batch'),
    buffers: {
      activationMegabytes: size('buffers.activationMegabytes'),
      weightMegabytes: size('buffers.weightMegabytes'),
      maskMegabytes: size('buffers.maskMegabytes'),
    },
    memory: one(electorSchema.shape.memory.options),
    loopOrder: one(LOOP_ORDERS),
    schedulerBatch: 1,
    sparsity: { activation: share(), weight: share(), gradient: share() },
  });
}

/** @returns undefined for a point that is not played */
function evaluate(config, architecture) {
  if (config.pes * config.lanesPerPe > MOST_LANES) return undefined;
  const program = buildProgram(architecture, config.phase, TOKENS);
  const density = ({ mask }) => assumedDensity(config, mask.content);
  const fast = (embeddingResident) =>
    play(program, config, new TileEstimates(config, config.batch, density), { embeddingResident });
  const cycle = (embeddingResident) => {
    const masks = drawnMasks(config.batch, TOKENS, density);
    return play(program, config, new TileCosts(config, masks, density), { embeddingResident });
  };
  const estimate = fast(false);
  if ('demandBits' in estimate) return undefined;
  if (estimate.operations.reduce((sum, { dispatch }) => sum + dispatch.tiles, 0) > MOST_TILES) return undefined;
  const exact = [cycle(false), cycle(true)];
  if (exact.some((played) => 'demandBits' in played)) return undefined;
  return {
    first: estimate.cycles / exact[0].cycles - 1,
    later: fast(true).cycles / exact[1].cycles - 1,
    cycles: exact[1].cycles,
  };
}

const points = [];
while (points.length < Number(args.points)) {
  const [architecture, config] = [drawTransformer(), drawMachine()];
  const found = evaluate(config, architecture);
  if (!found) continue;
  points.push({ ...found, config, architecture });
  process.stderr.write(`\r${points.length} of ${args.points} points `);
}
process.stderr.write('\n');

const percent = (share) => `${(share * 100).toFixed(2)} %`;
function distribution(measure) {
  const errors = points.map((point) => Math.abs(point[measure])).sort((a, b) => a - b);
  const quantile = (share) => errors[Math.min(errors.length - 1, Math.floor(share * errors.length))];
  const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
  return { mean, median: quantile(0.5), '90 %': quantile(0.9), '99 %': quantile(0.99), worst: errors.at(-1) };
}

const measures = { 'first batch': distribution('first'), 'later batch': distribution('later') };
if (args.json) {
  console.log(
    JSON.stringify({ benchmark: 'elector-fidelity', seed: Number(args.seed), points: points.length, measures }),
  );
} else {
  const shown = (row) => Object.fromEntries(Object.entries(row).map(([name, error]) => [name, percent(error)]));
  console.table(Object.fromEntries(Object.entries(measures).map(([name, row]) => [name, shown(row)])));
  const worst = points.toSorted((a, b) => Math.abs(b.later) - Math.abs(a.later)).slice(0, Number(args.worst));
  for (const { later, cycles, config, architecture } of worst)
    console.log(percent(later), cycles, describe(config, architecture));
}

function describe(config, { layers }) {
  const { technology, mode, schedulerBatch, nonLinearity, ...machine } = config;
  const shape = layers.map(({ hidden, heads, feedForward }) => {
    const kinds = heads.map(({ kind, kernel = '' }) => `${kind}${kernel}`);
    return `${hidden}: ${kinds} of ${heads[0].dim}, ${feedForward}`;
  });
  return JSON.stringify({ ...machine, layers: shape });
}
