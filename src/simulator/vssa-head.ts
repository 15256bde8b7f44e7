/** One attention head, or several like it in a stream, on the variable-speed array: whether it fits, its cycles, and how often each part works. */
import type { Infeasible } from './types.js';
import { type ArrayRun, addRuns, NO_RUN, playStream } from './vssa-array.js';
import type { VssaActivity } from './vssa-components.js';
import { isStreamed, type VssaConfig } from './vssa-config.js';
import { estimateTiles } from './vssa-fast.js';
import { vssaMemory } from './vssa-memory.js';
import { total } from './vssa-reference.js';
import { type HeadParts, type HeadSizes, type HeadTiles, headParts, headTiles } from './vssa-tiles.js';

export type Misfit = Pick<Infeasible, 'resource' | 'demand' | 'bound' | 'unit' | 'levers'>;

export interface HeadOutcome {
  readonly cycles: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly activity: VssaActivity;
}

export type Fidelity = 'cycle' | 'fast';

/** Plays a head's tiles cycle by cycle, in one stream or one after the other. */
export function playTiles(config: VssaConfig, { tiles }: Pick<HeadTiles, 'tiles'>): ArrayRun {
  if (isStreamed(config)) return playStream(config.array, tiles);
  // Tiles of equal operands take equal times.
  const known = new Map<string, ArrayRun>();
  return tiles.reduce((sum, tile) => {
    const key = `${tile.rows}/${tile.columns}/${tile.steps}`;
    let run = known.get(key);
    if (run === undefined) {
      run = playStream(config.array, [tile]);
      known.set(key, run);
    }
    return addRuns(sum, run);
  }, NO_RUN);
}

/**
 * What a head with tokens of these widths does. Heads of equal widths and sizes do the same, so callers may keep it.
 * @param bits of each token, 0 for removed ones; widths that the array serves; some token is left, and so is one that is a query
 * @param heads that follow each other in one stream; the outcome is that of all
 */
export function headOutcome(
  config: VssaConfig,
  bits: Uint8Array,
  sizes: HeadSizes,
  fidelity: Fidelity,
  heads = 1,
): HeadOutcome | Misfit {
  const misfit = misfitOf(config, bits, sizes);
  if (misfit !== undefined) return misfit;
  const parts = headParts(bits, config, sizes);
  const plan = headTiles(config, parts, sizes, heads);
  const run: ArrayRun =
    fidelity === 'cycle'
      ? playTiles(config, plan)
      : {
          ...NO_RUN,
          cycles: estimateTiles(plan.tiles, config),
          busy: plan.partProducts,
          tiles: plan.tiles.length,
        };
  const { peBits } = config.array;
  const kept = parts.keys.length;
  const queries = heads * parts.queries.length;
  const scores = queries * kept;
  const values = kept + (sizes.pseudoBits > 0 ? 1 : 0);
  const queryBits = heads * total(parts.queries) * peBits;
  const keyBits = heads * total(parts.keys) * peBits;
  const results = scores + queries * sizes.valueDim;
  const softmaxCycles = Math.ceil(scores / config.softmax.lanes);
  const compute = Math.max(run.cycles, softmaxCycles);
  const transfer = transferOf(config, parts, sizes, heads);
  const cycles = transfer.hidden
    ? Math.max(compute, transfer.cycles)
    : compute + transfer.cycles + transfer.latencyCycles;
  const pes = config.array.rows * config.array.columns;
  const probabilityBits = config.probabilities.width === 'token' ? queryBits : queries * config.probabilities.bits;
  const perToken = sizes.headDim + sizes.valueDim;
  const dense = heads * (sizes.queries === 'all' ? bits.length : 1) * bits.length * perToken;
  const executed = scores * sizes.headDim + queries * values * sizes.valueDim;
  return {
    cycles,
    counts: {
      heads,
      tokens: heads * bits.length,
      tokensRemoved: heads * (bits.length - kept),
      products: executed,
      productsSkipped: dense - executed,
      partProducts: run.busy,
      densePartProducts: dense * (config.operandBits / peBits) ** 2,
      tiles: run.tiles,
      peCycles: cycles * pes,
      arrayCycles: run.cycles,
      softmaxCycles,
      transferCycles: transfer.cycles,
      softmaxStall: (compute - run.cycles) * pes,
      memoryStall: (cycles - compute) * pes,
      ...(fidelity === 'cycle'
        ? {
            fillStall: run.fill,
            operandStall: run.operandWait,
            pressureStall: run.pressureWait,
            drainStall: run.drain,
            unusedStall: run.unused,
            peSteps: run.peSteps,
          }
        : { arrayStall: run.cycles * pes - run.busy }),
      dramBits: transfer.bitsRead + transfer.bitsWritten,
    },
    activity: {
      partProducts: run.busy,
      hops: plan.hops,
      sums: plan.sums,
      combined: plan.sums - results,
      queryBitsRead: plan.queryParts * peBits,
      queryBitsWritten: queryBits * sizes.headDim,
      keyBitsRead: plan.keyParts * peBits,
      keyBitsWritten: keyBits * sizes.headDim,
      valueBitsRead: plan.valueParts * peBits,
      valueBitsWritten: (keyBits + heads * sizes.pseudoBits) * sizes.valueDim,
      // Scores are written, read by the softmax, written back as probabilities, and read for each tile of outputs.
      scoreBitsRead: scores * config.softmax.bits + plan.probabilityParts * peBits,
      scoreBitsWritten: scores * config.softmax.bits + probabilityBits * values,
      scores,
      rows: queries,
      dramBitsRead: transfer.bitsRead,
      dramBitsWritten: transfer.bitsWritten,
    },
  };
}

/** Whether the next head's operands can be in the buffers before a head is done, so that the two may be one stream. */
export const mayFollow = (config: VssaConfig, bits: Uint8Array, sizes: HeadSizes): boolean =>
  transferOf(config, headParts(bits, config, sizes), sizes).hidden;

/** Bytes that a head takes in the buffers, at its tokens' widths. */
function demands(config: VssaConfig, bits: Uint8Array, { headDim, valueDim, pseudoBits, queries }: HeadSizes) {
  let [kept, resident, widest] = [0, 0, 0];
  for (const width of bits) {
    if (width > 0) kept++;
    if (width > widest) widest = width;
    resident += width;
  }
  const steps = kept * config.scaleBits;
  const pseudoSteps = pseudoBits > 0 ? config.scaleBits : 0;
  const rows = 2 * Math.min(config.array.rows, queries === 'all' ? kept : 1);
  return {
    queryBytes: Math.ceil((rows * (headDim * widest + config.scaleBits)) / 8),
    keyBytes: Math.ceil((resident * headDim + steps) / 8),
    valueBytes: Math.ceil(((resident + pseudoBits) * valueDim + steps + pseudoSteps) / 8),
    scoreBytes: Math.ceil((rows * kept * config.softmax.bits) / 8),
  };
}

const BUFFERS = {
  queryBytes: 'Q buffer',
  keyBytes: 'K buffer',
  valueBytes: 'V buffer',
  scoreBytes: 'score buffer',
} as const;

function misfitOf(config: VssaConfig, bits: Uint8Array, sizes: HeadSizes): Misfit | undefined {
  const demand = demands(config, bits, sizes);
  for (const name of Object.keys(BUFFERS) as (keyof typeof BUFFERS)[]) {
    const bound = config.buffers[name];
    if (demand[name] <= bound) continue;
    return {
      resource: BUFFERS[name],
      demand: demand[name],
      bound,
      unit: 'bytes',
      levers: [`buffers.${name} ≥ ${demand[name]}`, 'fewer or narrower tokens'],
    };
  }
  return undefined;
}

/** Q, K, V at their tokens' widths, and outputs likewise; behind the previous head when the buffers hold two heads. */
function transferOf(
  config: VssaConfig,
  { queries, keys }: HeadParts,
  { headDim, valueDim, pseudoBits }: HeadSizes,
  heads = 1,
) {
  if (config.dram === 'none') return { cycles: 0, latencyCycles: 0, hidden: true, bitsRead: 0, bitsWritten: 0 };
  const [queryBits, keyBits] = [queries, keys].map((parts) => total(parts) * config.array.peBits) as [number, number];
  const [querySteps, keySteps] = [queries, keys].map((parts) => parts.length * config.scaleBits) as [number, number];
  const pseudoValue = pseudoBits > 0 ? pseudoBits * valueDim + config.scaleBits : 0;
  const valueBits = keyBits * valueDim + keySteps + pseudoValue;
  const bitsRead = heads * ((queryBits + keyBits) * headDim + querySteps + keySteps + valueBits);
  const bitsWritten = heads * (queryBits * valueDim + querySteps);
  const memory = vssaMemory(config);
  const half = (bytes: number) => (8 * bytes) / 2;
  return {
    cycles: memory.cycles({ readBits: bitsRead, writtenBits: bitsWritten }),
    latencyCycles: Math.ceil(memory.latencyCycles),
    hidden:
      keyBits * headDim + keySteps <= half(config.buffers.keyBytes) && valueBits <= half(config.buffers.valueBytes),
    bitsRead,
    bitsWritten,
  };
}
