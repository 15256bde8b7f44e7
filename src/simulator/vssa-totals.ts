/** Sums of one simulation of the variable-speed array: parts, laws, waits, and the wavefront of an example tile. */
import { ConservationLaws } from './conservation.js';
import { Histogram, type PartActivity, resultOf, sumCounts } from './engine.js';
import { withMemory } from './memory/settings.js';
import { PartSums, ReplayError, type SummedPart } from './part-sums.js';
import type { SimulationResult, TimelineLane } from './types.js';
import { type VssaActivity, vssaActions, vssaComposition } from './vssa-components.js';
import { isStreamed, type VssaConfig } from './vssa-config.js';
import type { Fidelity, HeadOutcome } from './vssa-head.js';
import { vssaMemory } from './vssa-memory.js';
import { referenceTile, type Tile } from './vssa-reference.js';
import { type HeadSizes, headParts, headTiles } from './vssa-tiles.js';
import { wavefronts } from './vssa-wavefront.js';

/** Steps and PEs of a tile that a timeline figure can still show. */
const TIMELINE_STEPS = 24;
const TIMELINE_LANES = 16;
/** Heads that are looked at for it. */
const EXAMINED_HEADS = 64;

/** Kinds of waiting in a result, by the count that holds its PE-cycles. */
const STALLS: Readonly<Record<string, string>> = {
  fillStall: 'filling the array',
  operandStall: 'waiting for a slower neighbour’s operand',
  pressureStall: 'waiting for room in a link',
  drainStall: 'emptying the array',
  unusedStall: 'PEs without row or column',
  arrayStall: 'waiting in the array',
  softmaxStall: 'waiting for the softmax',
  memoryStall: 'waiting for memory',
};

export class VssaTotals {
  readonly #parts = new PartSums<VssaActivity>();
  readonly replayed = new ReplayError();
  readonly #tokenBits = new Histogram();
  /** Right-hand sides of the laws, from widths and sizes alone. */
  readonly #expected = { products: 0, partProducts: 0 };
  #decoding = false;
  #example: Example | undefined;
  #examined = 0;

  constructor(
    readonly name: string,
    readonly config: VssaConfig,
    readonly fidelity: Fidelity,
  ) {}

  /** @param head undefined for heads of a layer that follow each other in one stream */
  add(layer: number, head: number | undefined, bits: Uint8Array, sizes: HeadSizes, outcome: HeadOutcome): void {
    this.#parts.add({ layer, head, ...outcome });
    this.#decoding ||= sizes.queries === 'last';
    this.#expect(bits, sizes, outcome.counts.heads!);
    this.#chooseExample(bits, sizes);
  }

  result(): SimulationResult {
    const { array } = this.config;
    const parts = this.#parts.all().map((part) => this.#partActivity(part));
    const counts = sumCounts(parts.map((part) => part.counts));
    const cycles = parts.reduce((sum, part) => sum + part.cycles, 0);
    const laws = new ConservationLaws('vssa');
    this.#checkLaws(laws, counts);
    const stalls: Record<string, number> = {};
    for (const [count, kind] of Object.entries(STALLS)) if (count in counts) stalls[kind] = counts[count]!;
    const result = resultOf({
      name: this.name,
      machine: 'vssa',
      configuration: this.config,
      fidelity: this.fidelity,
      ...(this.fidelity === 'fast' && { cyclesError: this.replayed.error }),
      cycles,
      composition: vssaComposition(this.config),
      parts,
      utilisation: {
        array: share(counts.partProducts!, cycles * array.rows * array.columns),
        softmax: share(counts.softmaxCycles!, cycles),
      },
      histograms: { tokenBits: this.#tokenBits.bins },
      timeline: this.#example === undefined ? [] : timeline(this.#example.tile, array.linkDepth),
      laws,
      remarks: this.#remarks(),
    });
    return {
      ...(this.config.dram === 'none' ? result : withMemory(result, vssaMemory(this.config))),
      timelineOf: 'the first steps of a tile, on the PEs of its diagonal',
      ...(this.#mixed && { wavefronts: wavefronts(this.config, this.#mixed.bits, this.#mixed.sizes) }),
      stalls,
    };
  }

  /** The example, if operands of different widths meet in it. */
  get #mixed(): Example | undefined {
    return this.#example && isMixed(this.#example.tile) ? this.#example : undefined;
  }

  /** The first tile in which operands of different widths meet; the very first one where no head looked at has any. */
  #chooseExample(bits: Uint8Array, sizes: HeadSizes): void {
    if (this.#examined === EXAMINED_HEADS || this.#mixed) return;
    this.#examined++;
    const { tiles, kinds } = headTiles(this.config, headParts(bits, this.config, sizes), sizes);
    const mixed = tiles.find((tile, at) => kinds[at] === 'scores' && isMixed(tile));
    const tile = mixed ?? (this.#example === undefined ? tiles[0] : undefined);
    if (tile !== undefined) this.#example = { tile, bits, sizes };
  }

  #expect(bits: Uint8Array, { headDim, valueDim, pseudoBits, queries }: HeadSizes, heads: number): void {
    const { array, probabilities } = this.config;
    let [tokens, parts] = [0, 0];
    for (const width of bits) {
      this.#tokenBits.add(width, heads);
      if (width > 0) tokens++;
      parts += width / array.peBits;
    }
    const [asking, askingParts] = queries === 'all' ? [tokens, parts] : [1, bits.at(-1)! / array.peBits];
    const weights = probabilities.width === 'token' ? askingParts : (asking * probabilities.bits) / array.peBits;
    const values = tokens + (pseudoBits > 0 ? 1 : 0);
    this.#expected.products += heads * asking * (tokens * headDim + values * valueDim);
    this.#expected.partProducts +=
      heads * (askingParts * parts * headDim + weights * (parts + pseudoBits / array.peBits) * valueDim);
  }

  #checkLaws(laws: ConservationLaws, counts: Readonly<Record<string, number>>): void {
    const count = (name: string) => counts[name] ?? 0;
    laws.equal('products of tokens that were kept = products executed', this.#expected.products, count('products'));
    laws.equal('PE-cycles at work = products of operand parts', count('partProducts'), this.#expected.partProducts);
    laws.atMost('no more part products than without quantisation', count('partProducts'), count('densePartProducts'));
    const waits = Object.keys(STALLS).reduce((sum, name) => sum + count(name), 0);
    laws.equal('PE-cycles = at work + waiting', count('peCycles'), count('partProducts') + waits);
  }

  #partActivity({ layer, head, cycles, counts, activity }: SummedPart<VssaActivity>): PartActivity {
    return {
      layer: String(layer),
      ...(head !== undefined && { head }),
      cycles,
      utilisation: share(counts.partProducts!, counts.peCycles!),
      counts,
      actions: vssaActions(this.config, activity),
    };
  }

  #remarks(): string[] {
    const { config } = this;
    const remarks = [
      'Attention alone: projections and feed-forward parts are not modelled.',
      this.#decoding
        ? 'Decoding step by step: the last token of each step asks all tokens that are left for it; their keys and values come from memory each time, at the widths that they have for it.'
        : 'Every token that was kept sees every other.',
      'Heads run one after the other. The array’s hand-over and all sizes but the PEs’ number are a reconstruction; finished sums leave the array while the next tile runs.',
      'Ranking tokens by importance is taken to be free; summing importance up costs an addition per probability.',
      config.dram === 'none'
        ? 'Q, K and V are taken to be in the buffers already: no memory traffic is counted.'
        : 'Memory traffic hides behind the previous head when the buffers hold two heads, and adds to it otherwise.',
    ];
    if (!this.#mixed)
      remarks.push(
        `In no tile of the ${this.#examined} heads that were looked at do operands of different widths meet: there is nothing to group, and no wavefront with waiting PEs to draw.`,
      );
    if (isStreamed(config))
      remarks.push('Tiles without a break are an extension beyond the published machine; see the setting stallRelief.');
    if (this.fidelity === 'fast') {
      remarks.push(
        `Fast estimate: cycles differ by ${(100 * this.replayed.error).toFixed(2)} % from cycle fidelity on the ${this.replayed.heads} heads of this trace that were replayed.`,
      );
    }
    return remarks;
  }
}

interface Example {
  readonly tile: Tile;
  readonly bits: Uint8Array;
  readonly sizes: HeadSizes;
}

/** Whether operands of different widths meet. */
const isMixed = ({ rows, columns }: Tile): boolean =>
  new Set(Array.from(rows)).size > 1 || new Set(Array.from(columns)).size > 1;

/** When PEs along the diagonal of a tile work: gaps are waits. */
function timeline({ rows, columns, steps }: Tile, linkDepth: number): TimelineLane[] {
  const shown = steps.length > TIMELINE_STEPS ? Array.from(steps).slice(0, TIMELINE_STEPS) : steps;
  const { start, finish } = referenceTile({ rows, columns, steps: shown }, linkDepth);
  const lanes = Math.min(TIMELINE_LANES, Math.max(rows.length, columns.length));
  const along = (lane: number, size: number) => (lanes === 1 ? 0 : Math.round((lane * (size - 1)) / (lanes - 1)));
  return Array.from({ length: lanes }, (_, lane) => {
    const [i, j] = [along(lane, rows.length), along(lane, columns.length)];
    return {
      lane: `PE ${i}, ${j}`,
      busy: start.map((times, t) => ({
        start: times[i]![j]!,
        end: finish[t]![i]![j]!,
        label: `step ${t + 1}, ${rows[i]} × ${columns[j]} parts`,
      })),
    };
  });
}

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
