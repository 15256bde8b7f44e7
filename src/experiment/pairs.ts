/**
 * Pairs of the joint design space of TransCODE, one JSON object a line: an accelerator as 12 numbers and a transformer as
 * 37. Files may be larger than memory: they are read twice, first to check every line, then to simulate.
 */
import { open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { applySet } from '../settings/set.js';
import { validateSettings } from '../settings/validate.js';
import { SQUARE_MICROMETRES_PER_SQUARE_MILLIMETRE } from '../simulator/elector/area.js';
import { type ElectorConfig, electorSchema } from '../simulator/elector/config.js';
import { type DesignPoint, designPoint, errorOnFirstLayer } from '../simulator/elector/corrected.js';
import { decodeAccelerator, type EmbeddingOptions } from '../simulator/elector/embedding.js';
import { elector } from '../simulator/elector.js';
import type { Infeasible, SimulationResult } from '../simulator/types.js';
import { decodeTransformer } from '../workload/flexibert.js';
import type { TransformerArchitecture } from '../workload/transformer.js';
import type { RunContext } from './api.js';
import { readable } from './file-errors.js';

export interface Pair {
  /** Numbers as they were given. */
  readonly accelerator: readonly number[];
  readonly transformer: readonly number[];
  readonly config: ElectorConfig;
  readonly architecture: TransformerArchitecture;
}

/** A line of output. Energy by module. */
export type PairResult = Pick<Pair, 'accelerator' | 'transformer'> &
  (
    | (Pick<SimulationResult, 'feasible' | 'cycles' | 'clockHertz' | 'energyPicojoules' | 'utilisation' | 'stalls'> & {
        readonly areaSquareMillimetres: number;
        readonly energy: Readonly<Record<string, { dynamicPicojoules: number; leakagePicojoules: number }>>;
      })
    | Omit<Infeasible, 'name' | 'machine'>
  );

const YIELD_MILLISECONDS = 50;

/** What the numbers do not say and the user may choose; closed form unless told otherwise. */
const optionsSchema = electorSchema.pick({ mode: true, phase: true, sparsity: true });

/**
 * @param settings `path=value`, as on the command line
 * @throws TANDEM_UNKNOWN_SETTING for what the pairs themselves say, TANDEM_CONFIG_INVALID
 */
export function pairOptions(settings: readonly string[]): EmbeddingOptions {
  let options: unknown = { mode: 'fast' };
  for (const setting of settings) options = applySet(optionsSchema, options, setting);
  const place = () => `--set ${settings.join(' --set ')}`;
  return validateSettings(optionsSchema, options, { place, keyPlace: place });
}

/**
 * Results in the order of the lines; pairs that cannot run are results too. Every line is checked before the first one is
 * simulated.
 * @throws TANDEM_FILE_NOT_FOUND, TANDEM_FILE_UNREADABLE; TANDEM_CONFIG_SYNTAX, TANDEM_CONFIG_INVALID and
 *   TANDEM_UNKNOWN_SETTING with the line; TANDEM_WORKLOAD_INVALID for a file without pairs
 */
export async function* simulatePairs(
  path: string,
  options: EmbeddingOptions,
  { progress, signal }: RunContext,
): AsyncGenerator<PairResult> {
  let pairs = 0;
  for await (const _ of readPairs(path, options)) {
    pairs++;
    signal?.throwIfAborted();
  }
  if (pairs === 0) {
    throw new TandemError('TANDEM_WORKLOAD_INVALID', 'The file holds no pairs.', {
      place: path,
      remedy: `Give one on each line: ${EXAMPLE}.`,
    });
  }
  const task = progress.task('simulating pairs', pairs, 'pairs');
  let done = 0;
  let yielded = performance.now();
  for await (const pair of readPairs(path, options)) {
    signal?.throwIfAborted();
    yield await simulatePair(pair, done, signal);
    task.update(++done);
    if (performance.now() - yielded < YIELD_MILLISECONDS) continue;
    // Lets Ctrl-C through.
    await setImmediate();
    yielded = performance.now();
  }
  task.end();
}

/** Of the pairs in mode fast, one in so many is also played tile by tile (its first layer), for `cyclesError`. */
const FAST_REPLAYS = 256;

/** One line of output. */
async function simulatePair(pair: Pair, index: number, signal: AbortSignal | undefined): Promise<PairResult> {
  const { config, architecture } = pair;
  const { name } = architecture;
  if (config.mode === 'fast') {
    const point = designPoint(config, architecture, name);
    const cyclesError = index % FAST_REPLAYS === 0 ? errorOnFirstLayer(config, architecture) : undefined;
    return lineOf(pair, 'cycles' in point ? { ...point, ...(cyclesError !== undefined && { cyclesError }) } : point);
  }
  const result = await elector.simulate(config, { kind: 'transformer', architecture }, { name, signal });
  if (!result.feasible) return lineOf(pair, result);
  return lineOf(pair, {
    ...result,
    areaSquareMillimetres: result.areaSquareMicrometres / SQUARE_MICROMETRES_PER_SQUARE_MILLIMETRE,
  });
}

function lineOf(
  { accelerator, transformer, config }: Pair,
  result: Infeasible | (DesignPoint & Pick<SimulationResult, 'stalls' | 'cyclesError'>),
): PairResult {
  if (!('cycles' in result)) {
    const { name: _name, machine: _machine, ...infeasible } = result;
    return { accelerator, transformer, ...infeasible };
  }
  const { cycles, cyclesError, areaSquareMillimetres, energyPicojoules, energy, utilisation, stalls } = result;
  return {
    accelerator,
    transformer,
    feasible: true,
    cycles,
    ...(cyclesError !== undefined && { cyclesError }),
    clockHertz: config.technology.clockHertz,
    areaSquareMillimetres,
    energyPicojoules,
    energy: Object.fromEntries(
      energy.map(({ component, dynamicPicojoules, leakagePicojoules }) => [
        component,
        { dynamicPicojoules, leakagePicojoules },
      ]),
    ),
    utilisation,
    ...(stalls && { stalls }),
  };
}

const lineSchema = z.strictObject({
  accelerator: z.array(z.number()).describe('12 numbers'),
  transformer: z.array(z.number()).describe('37 numbers'),
});
const BYTE_ORDER_MARK = /^\uFEFF/;
const EXAMPLE = '{"accelerator": [12 numbers], "transformer": [37 numbers]}';

async function* readPairs(path: string, options: EmbeddingOptions): AsyncGenerator<Pair> {
  const file = await readable(path, () => open(path));
  try {
    const lines = file.readLines()[Symbol.asyncIterator]();
    for (let number = 1; ; number++) {
      const next = await readable(path, () => lines.next());
      if (next.done) return;
      const line = number === 1 ? next.value.replace(BYTE_ORDER_MARK, '') : next.value;
      yield readPair(line, options, `${path}:${number}`);
    }
  } finally {
    await file.close();
  }
}

function readPair(line: string, options: EmbeddingOptions, place: string): Pair {
  const { accelerator, transformer } = validateSettings(lineSchema, parsed(line, place), {
    place: () => place,
    keyPlace: () => place,
  });
  return {
    accelerator,
    transformer,
    config: decodeAccelerator(accelerator, options, place),
    architecture: decodeTransformer(transformer, `${place}: transformer`),
  };
}

function parsed(line: string, place: string): unknown {
  const remedy = `Write a pair as ${EXAMPLE}.`;
  if (line.trim() === '') {
    throw new TandemError('TANDEM_CONFIG_SYNTAX', 'The line is blank.', { place, remedy: `Remove it. ${remedy}` });
  }
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new TandemError('TANDEM_CONFIG_SYNTAX', 'The line is not JSON.', { place, remedy, cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new TandemError('TANDEM_CONFIG_INVALID', 'The line is no pair.', { place, remedy });
}
