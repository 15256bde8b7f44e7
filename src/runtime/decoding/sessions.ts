import { type Graph, tensor } from '../../graph/types.js';
import { Session } from '../session.js';
import type { Feeds, Fetched, RuntimeOptions } from '../types.js';
import type { DecoderSizes, DecoderStages } from './types.js';

/** Rows of floats side by side: [rows, width]. */
const matrix = (data: Float32Array, width: number) => tensor('float32', [data.length / width, width], data);

/** Layers that run at once. */
export interface Span {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/**
 * Weights of one graph: a serialised model holds less than 2 GiB (protobuf's limit), and while a session is made, its
 * weights lie in memory three times.
 */
const MOST_BYTES = 2 ** 29;

export interface DecoderOptions extends Partial<RuntimeOptions> {
  /** Numbers of layers after which tokens may stop; default: every one. Layers between two of them run at once. */
  readonly stops?: readonly number[];
}

/**
 * The stages of a decoder, ready to run. What comes out of a dense layer for a row does not depend on the other rows, bit for
 * bit: ONNX Runtime packs constant weights, and its kernel sums each output in the same order for any number of rows.
 */
export class DecoderSessions {
  private constructor(
    readonly sizes: DecoderSizes,
    readonly words: Float32Array,
    readonly positions: Float32Array,
    readonly spans: readonly Span[],
    private readonly layers: readonly Session[],
    private readonly final: Session,
    private readonly output: Session,
  ) {}

  static async create(stages: DecoderStages, { stops, ...options }: DecoderOptions = {}): Promise<DecoderSessions> {
    const create = (graph: Graph) => Session.create(graph, { ...options, takesTurns: true });
    const spans = spansOf(stages, stops);
    const layers: Session[] = [];
    // One after the other: the bytes of a graph are needed only until its session holds them.
    for (const { from, to } of spans) layers.push(await create(stages.span(from, to)));
    return new DecoderSessions(
      stages.sizes,
      stages.words.data as Float32Array,
      stages.positions.data as Float32Array,
      spans,
      layers,
      await create(stages.norm),
      await create(stages.logits),
    );
  }

  /** Writes a token's first row: its word and its place. */
  embed(token: number, position: number, row: Float32Array): void {
    const { hidden } = this.sizes;
    for (let i = 0; i < hidden; i++) row[i] = this.words[token * hidden + i]! + this.positions[position * hidden + i]!;
  }

  /** Rows [rows, hidden] through the span of a number; `feeds` is what `DecoderStages.span` asks for besides. */
  run(span: number, rows: Float32Array, feeds: Feeds): Promise<Fetched> {
    return this.layers[span]!.run({ rows: matrix(rows, this.sizes.hidden), ...feeds });
  }

  /** Rows as the output embedding reads them. */
  async norm(rows: Float32Array): Promise<Float32Array> {
    return (await this.final.run({ rows: matrix(rows, this.sizes.hidden) })).normed!.data as Float32Array;
  }

  /** Normalised rows → logits [rows, vocabulary]. */
  async logits(normed: Float32Array): Promise<Float32Array> {
    return (await this.output.run({ normed: matrix(normed, this.sizes.hidden) })).logits!.data as Float32Array;
  }

  async dispose(): Promise<void> {
    for (const session of [...this.layers, this.final, this.output]) await session.dispose();
  }
}

function spansOf({ sizes: { layers }, layerBytes }: DecoderStages, stops: readonly number[] | undefined): Span[] {
  const most = Math.max(1, Math.floor(MOST_BYTES / layerBytes));
  const spans: Span[] = [];
  for (let from = 0, to = 1; to <= layers; to++) {
    if (to < layers && to - from < most && stops && !stops.includes(to)) continue;
    spans.push({ from, to });
    from = to;
  }
  return spans;
}
