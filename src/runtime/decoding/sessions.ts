import { type Graph, tensor } from '../../graph/types.js';
import { Session } from '../session.js';
import type { RuntimeOptions } from '../types.js';
import type { DecoderSizes, DecoderStages } from './types.js';

/** Rows of floats side by side: [rows, width]. */
const matrix = (data: Float32Array, width: number) => tensor('float32', [data.length / width, width], data);

/**
 * The stages of a decoder, ready to run. What comes out of a dense stage for a row does not depend on the other rows, bit for
 * bit: ONNX Runtime packs constant weights, and its kernel sums each output in the same order for any number of rows.
 */
export class DecoderSessions {
  private constructor(
    readonly sizes: DecoderSizes,
    readonly words: Float32Array,
    readonly positions: Float32Array,
    private readonly enters: readonly Session[],
    private readonly attention: Session,
    private readonly leaves: readonly Session[],
    private readonly final: Session,
    private readonly output: Session,
  ) {}

  static async create(stages: DecoderStages, options: Partial<RuntimeOptions> = {}): Promise<DecoderSessions> {
    const create = (graph: Graph) => Session.create(graph, { ...options, spinning: false });
    const each = async (graphs: readonly Graph[]) => {
      const sessions: Session[] = [];
      // One after the other: the bytes of a graph are needed only until its session holds them.
      for (const graph of graphs) sessions.push(await create(graph));
      return sessions;
    };
    return new DecoderSessions(
      stages.sizes,
      stages.words.data as Float32Array,
      stages.positions.data as Float32Array,
      await each(stages.enter),
      await create(stages.attention),
      await each(stages.leave),
      await create(stages.norm),
      await create(stages.logits),
    );
  }

  /** Writes a token's first row: its word and its place. */
  embed(token: number, position: number, row: Float32Array): void {
    const { hidden } = this.sizes;
    for (let i = 0; i < hidden; i++) row[i] = this.words[token * hidden + i]! + this.positions[position * hidden + i]!;
  }

  /** rows [rows, hidden] → query, key, value of each. */
  async enter(layer: number, rows: Float32Array): Promise<readonly [Float32Array, Float32Array, Float32Array]> {
    const { query, key, value } = await this.enters[layer]!.run({ rows: matrix(rows, this.sizes.hidden) });
    return [query!.data as Float32Array, key!.data as Float32Array, value!.data as Float32Array];
  }

  /**
   * What queries [queries, hidden] see of keys and values [keys, hidden], under a mask [queries, keys]. A single query is
   * asked twice: for one row ONNX Runtime multiplies matrices by another kernel, whose sums end in other last bits.
   */
  async attend(
    queries: Float32Array,
    keys: Float32Array,
    values: Float32Array,
    mask: Float32Array,
  ): Promise<Float32Array> {
    const { hidden } = this.sizes;
    const single = queries.length === hidden;
    const { context } = await this.attention.run({
      query: matrix(single ? twice(queries) : queries, hidden),
      keys: matrix(keys, hidden),
      values: matrix(values, hidden),
      mask: matrix(single ? twice(mask) : mask, keys.length / hidden),
    });
    const seen = context!.data as Float32Array;
    return single ? seen.subarray(0, hidden) : seen;
  }

  /** What attention saw [rows, hidden] and the layer's rows → the rows behind the layer. */
  async leave(layer: number, context: Float32Array, rows: Float32Array): Promise<Float32Array> {
    const { hidden } = this.sizes;
    const feeds = { context: matrix(context, hidden), rows: matrix(rows, hidden) };
    return (await this.leaves[layer]!.run(feeds)).output!.data as Float32Array;
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
    const all = [...this.enters, this.attention, ...this.leaves, this.final, this.output];
    for (const session of all) await session.dispose();
  }
}

function twice(row: Float32Array): Float32Array {
  const rows = new Float32Array(2 * row.length);
  rows.set(row);
  rows.set(row, row.length);
  return rows;
}
