/**
 * DTQAtten's variable-speed systolic array (Yang et al., DATE 2022): narrow PEs that take one cycle per pair of operand
 * parts, so that tokens of few bits run faster, handing operands on with valid and ready. Plays the bits per token of a
 * trace. What is published of the machine is its idea and its totals; the rest is a reconstruction with named settings.
 */
import { TandemError } from '../errors.js';
import { ARCHITECTURE_NOTE, PSEUDO_TOKEN_NOTE } from '../trace/matrices.js';
import { isDecoding } from '../trace/steps.js';
import type { TokenBitsRecord, TraceHeader } from '../trace/types.js';
import type { TransformerArchitecture } from '../workload/transformer.js';
import { playRecords } from './engine.js';
import type { Infeasible, Machine, SimulationOptions, SimulationResult, Workload } from './types.js';
import { type VssaConfig, vssaSchema } from './vssa-config.js';
import { type Fidelity, type HeadOutcome, headOutcome, type Misfit, mayFollow } from './vssa-head.js';
import { vssaSizing } from './vssa-sizing.js';
import type { HeadSizes } from './vssa-tiles.js';
import { VssaTotals } from './vssa-totals.js';

export const vssa: Machine<VssaConfig> = {
  name: 'vssa',
  description: 'DTQAtten (DATE 2022): a systolic array whose PEs are as fast as their tokens are narrow.',
  schema: vssaSchema,
  accepts: ['trace'],
  presets: ['vssa', 'vssa-dense'],
  decodes: true,
  sizing: vssaSizing,
  tokenWidths(config) {
    checkWidths(config);
    const { array, operandBits } = config;
    return Array.from({ length: operandBits / array.peBits + 1 }, (_, parts) => parts * array.peBits);
  },
  simulate: async (config, workload, { name, ...options }) =>
    (await simulateMany([{ name, config }], workload, options))[0]!,
  simulateMany,
};

/**
 * @throws TANDEM_CONFIG_INVALID for widths that the array does not serve; TANDEM_TRACE_INCONSISTENT for a trace without bits
 *         per token, without the sizes of its model, or with records outside of it
 */
async function simulateMany(
  configs: readonly { readonly name: string; readonly config: VssaConfig }[],
  workload: Workload,
  options: Omit<SimulationOptions, 'name'>,
): Promise<(SimulationResult | Infeasible)[]> {
  if (workload.kind !== 'trace') {
    throw new TandemError('TANDEM_CONFIG_INVALID', 'A variable-speed array plays traces of token bits only.', {
      remedy: 'Give it a trace that was recorded with a technique that quantises tokens.',
    });
  }
  for (const { config } of configs) checkWidths(config);
  const runs = configs.map(({ name, config }) => new Run(name, config, options.fidelity ?? 'cycle'));
  const model = new Model(workload.header);
  let played = 0;
  await playRecords(workload.records, options, (record) => {
    if (record.kind !== 'token-bits') return;
    const heads = model.heads(record);
    for (const run of runs) run.play(record, heads);
    played++;
  });
  if (played === 0) {
    throw new TandemError('TANDEM_TRACE_INCONSISTENT', 'The trace holds no bits per token.', {
      remedy: 'Record it with a technique that quantises tokens.',
    });
  }
  return runs.map((run) => run.result());
}

/** Widths of the machine itself: whole numbers of PEs’ widths. */
function checkWidths({ array, operandBits, probabilities }: VssaConfig): void {
  const fixed = probabilities.width === 'fixed' ? [['probabilities.bits', probabilities.bits] as const] : [];
  for (const [place, bits] of [['operandBits', operandBits] as const, ...fixed]) {
    if (bits % array.peBits === 0 && bits <= operandBits) continue;
    throw new TandemError('TANDEM_CONFIG_INVALID', `The array serves no operands of ${bits} bits.`, {
      place,
      remedy: `Use a multiple of array.peBits = ${array.peBits}, at most operandBits = ${operandBits}.`,
    });
  }
}

/** Sizes of the heads that a trace speaks of. */
class Model {
  readonly #architecture: TransformerArchitecture;
  /** Of the value that stands for a head's removed tokens; 0: none does. */
  readonly #pseudoBits: number;
  readonly #queries: HeadSizes['queries'];

  constructor({ notes }: TraceHeader) {
    const note = notes[ARCHITECTURE_NOTE];
    if (note === undefined) {
      throw inconsistent(
        'The trace does not say the sizes of its model.',
        `Record it from a model whose sizes Tandem knows; the header's note "${ARCHITECTURE_NOTE}" holds them.`,
      );
    }
    this.#architecture = JSON.parse(note) as TransformerArchitecture;
    this.#pseudoBits = Number(notes[PSEUDO_TOKEN_NOTE] ?? 0);
    this.#queries = isDecoding({ notes }) ? 'last' : 'all';
  }

  /** The attention heads of a record, with their numbers. Keys and values are as wide as queries. */
  heads({ layer, head, sequence, bits }: TokenBitsRecord): (readonly [number, HeadSizes])[] {
    if (this.#queries === 'last' && !bits.at(-1)) {
      throw inconsistent(
        `A step of sequence ${sequence} has no bits for its own token in layer ${layer}.`,
        'In a trace of decoding, the last token of a record is the query of the step, and never removed.',
      );
    }
    const heads = this.#architecture.layers[layer]?.heads ?? [];
    const attention = heads.flatMap(({ kind, dim }, number) =>
      (kind === 'sdp' || kind === 'wma') && (head === -1 || head === number)
        ? [[number, { headDim: dim, valueDim: dim, pseudoBits: this.#pseudoBits, queries: this.#queries }] as const]
        : [],
    );
    if (attention.length > 0) return attention;
    const which = head === -1 ? 'attention heads' : `attention head ${head}`;
    throw inconsistent(
      `The trace has bits per token for layer ${layer}, of which its model knows no ${which}.`,
      'Layers and heads are numbered from 0, as in the header’s note on the architecture.',
    );
  }
}

const inconsistent = (message: string, remedy: string): TandemError =>
  new TandemError('TANDEM_TRACE_INCONSISTENT', message, { remedy });

/** Whether some tokens are removed, and some are left. */
const losesSome = (bits: Uint8Array): boolean => bits.includes(0) && bits.some((width) => width > 0);

/** Outcomes that are kept for heads of equal widths. */
const KEPT_OUTCOMES = 4096;

/** One configuration's way through the trace. */
class Run {
  readonly #totals: VssaTotals;
  readonly #known = new Map<string, HeadOutcome>();
  #played = 0;
  #misfit: Misfit | undefined;

  constructor(
    readonly name: string,
    readonly config: VssaConfig,
    readonly fidelity: Fidelity,
  ) {
    this.#totals = new VssaTotals(name, config, fidelity);
  }

  /** @param heads that have these widths, with their numbers */
  play(traced: TokenBitsRecord, heads: readonly (readonly [number, HeadSizes])[]): void {
    const { tokens, operandBits } = this.config;
    const bits = tokens === 'dense' ? new Uint8Array(traced.bits.length).fill(operandBits) : traced.bits;
    const record = { ...traced, bits };
    const loses = losesSome(bits);
    const sized = heads.map(([head, ofModel]) => [head, loses ? ofModel : { ...ofModel, pseudoBits: 0 }] as const);
    this.#check(record, sized[0]![1].pseudoBits);
    const [first] = sized as [readonly [number, HeadSizes]];
    if (this.#isStream(bits, sized)) this.#play(record, undefined, first[1], sized.length);
    else for (const [head, sizes] of sized) this.#play(record, head, sizes, 1);
  }

  /** Whether heads follow each other in the array without a break. */
  #isStream(bits: Uint8Array, heads: readonly (readonly [number, HeadSizes])[]): boolean {
    if (this.config.stallRelief !== 'layerwise' || heads.length === 1) return false;
    const [, sizes] = heads[0]!;
    return heads.every(([, { headDim }]) => headDim === sizes.headDim) && mayFollow(this.config, bits, sizes);
  }

  #play({ layer, bits }: TokenBitsRecord, head: number | undefined, sizes: HeadSizes, heads: number): void {
    if (this.#misfit !== undefined) return;
    const outcome = this.#outcome(bits, sizes, heads);
    if ('resource' in outcome) {
      this.#misfit = outcome;
      return;
    }
    this.#totals.add(layer, head, bits, sizes, outcome);
    this.#played++;
    // Fast fidelity measures its error on heads, or streams of them, 1, 2, 4, 8, …
    if (this.fidelity === 'fast' && (this.#played & (this.#played - 1)) === 0) {
      const exact = headOutcome(this.config, bits, sizes, 'cycle', heads) as HeadOutcome;
      this.#totals.replayed.add(outcome.cycles, exact.cycles);
    }
  }

  #outcome(bits: Uint8Array, sizes: HeadSizes, heads: number): HeadOutcome | Misfit {
    const query = sizes.queries === 'last' ? bits.at(-1) : '';
    const key = `${this.#order(bits)}/${query}/${sizes.headDim}/${sizes.valueDim}/${sizes.pseudoBits}/${heads}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const outcome = headOutcome(this.config, bits, sizes, this.fidelity, heads);
    if ('resource' in outcome) return outcome;
    if (this.#known.size >= KEPT_OUTCOMES) this.#known.clear();
    this.#known.set(key, outcome);
    return outcome;
  }

  /** What of the tokens' widths matters: their order where it is kept, else how many there are of each. */
  #order(bits: Uint8Array): string {
    if (this.config.stallRelief === 'none') return bits.join();
    const counts = new Uint32Array(this.config.operandBits + 1);
    for (const width of bits) counts[width]!++;
    return counts.join();
  }

  #check({ bits, layer, sequence }: TokenBitsRecord, pseudoBits: number): void {
    const { array, operandBits } = this.config;
    const isWrong = (width: number) => width > operandBits || width % array.peBits !== 0;
    const wrong = bits.find(isWrong) ?? [pseudoBits].find(isWrong);
    if (wrong === undefined) return;
    throw new TandemError('TANDEM_CONFIG_INVALID', `The array serves no tokens of ${wrong} bits.`, {
      place: `token bits of layer ${layer}, sequence ${sequence}`,
      remedy: `Give tokens multiples of array.peBits = ${array.peBits}, up to operandBits = ${operandBits}, or change these.`,
    });
  }

  result(): SimulationResult | Infeasible {
    if (this.#misfit !== undefined) return { feasible: false, name: this.name, machine: 'vssa', ...this.#misfit };
    return this.#totals.result();
  }
}
