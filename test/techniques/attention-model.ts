/** One attention layer over given queries, keys and values, in the ways that exporters write it. */
import { GraphBuilder } from '../../src/graph/builder.js';
import { withOutputs } from '../../src/graph/edit.js';
import { floatTensor, type Graph, type Tensor } from '../../src/graph/types.js';
import type { InferenceRewrite } from '../../src/techniques/types.js';
import type { AttentionHeadRecord } from '../../src/trace/types.js';
import { run, type Values } from '../graph/runtime.js';

export interface Sizes {
  readonly batch: number;
  readonly heads: number;
  readonly tokens: number;
  readonly dim: number;
}

/**
 * - 'add': a large negative number is added for padding; 'where': a Boolean mask selects
 * - 'causal': padding and later tokens; 'local': padding and tokens more than one position away
 */
export type Mask = 'none' | 'add' | 'where' | 'causal' | 'local';

export interface ModelOptions {
  readonly heads: number;
  readonly dim: number;
  readonly mask?: Mask;
  /** Number that multiplies the scores. */
  readonly scale?: number;
  readonly keyLayout?: 'tokens-dim' | 'dim-tokens';
}

/** Inputs query, key, value [batch, heads, tokens, dim] (key [batch, heads, dim, tokens] if so laid out); output `out`. */
export function attentionModel({ heads, dim, mask = 'add', scale = 1, keyLayout }: ModelOptions): Graph {
  const b = new GraphBuilder('attention');
  const rows = ['batch', heads, 'tokens', dim];
  const query = b.input('query', 'float32', rows);
  const key = b.input('key', 'float32', keyLayout === 'dim-tokens' ? ['batch', heads, dim, 'tokens'] : rows);
  const value = b.input('value', 'float32', rows);
  b.input('attention_mask', 'float32', ['batch', 'tokens']);
  const raw = b.matmul(query, keyLayout === 'dim-tokens' ? key : b.transpose(key, [0, 1, 3, 2]), 'raw');
  const scaled = scale === 1 ? raw : b.mul(raw, b.constant(scale));
  const probabilities = b.softmax(masked(b, scaled, mask), -1);
  b.output(b.op('Identity', [b.matmul(probabilities, value, 'context')], {}, 'out'));
  return b.finish();
}

function masked(b: GraphBuilder, scores: string, mask: Mask): string {
  if (mask === 'none') return scores;
  const real = b.op('Unsqueeze', ['attention_mask', b.ints([1, 2])]);
  if (mask === 'add') return b.add(scores, b.mul(b.sub(b.constant(1), real), b.constant(-1e4)));
  const select = (condition: string, value: string) => b.op('Where', [condition, value, b.constant(-1e4)]);
  const open = select(b.cast(real, 'bool'), scores);
  if (mask === 'where') return open;
  const tokens = b.op('Squeeze', [b.op('Shape', ['attention_mask'], { start: { kind: 'int', value: 1 } })]);
  const keys = b.op('Range', [b.scalar('int64', 0), tokens, b.scalar('int64', 1)]);
  const distance = b.sub(keys, b.op('Unsqueeze', [keys, b.ints([1])]));
  if (mask === 'causal') return select(b.op('LessOrEqual', [distance, b.scalar('int64', 0)]), open);
  return select(b.op('LessOrEqual', [b.op('Abs', [distance]), b.scalar('int64', 1)]), open);
}

/** [batch, heads, tokens, dim] */
export const rowsOf = (values: ArrayLike<number>, { batch, heads, tokens, dim }: Sizes): Tensor =>
  floatTensor(values, [batch, heads, tokens, dim]);

/** [batch, tokens]: 1 for the first `lengths[i]` tokens of row i */
export const maskOf = (lengths: readonly number[], tokens: number): Tensor =>
  floatTensor(
    lengths.flatMap((length) => Array.from({ length: tokens }, (_, token) => (token < length ? 1 : 0))),
    [lengths.length, tokens],
  );

/** Runs a graph and returns some of its values. */
export const valuesOf = (graph: Graph, feeds: Values, names: readonly string[]): Promise<Values> =>
  run(withOutputs(graph, names), feeds);

export const headsOf = (
  rewrite: InferenceRewrite,
  fetched: Values,
  lengths: readonly number[],
): AttentionHeadRecord[] =>
  [...rewrite.record(fetched, lengths, 0)].filter((record) => record.kind === 'attention-head');

export const survives = ({ survivors, keys }: AttentionHeadRecord, query: number, key: number): boolean =>
  ((survivors[(query * keys + key) >> 3]! >> ((query * keys + key) & 7)) & 1) === 1;

/** Σ q·k in arithmetic that cannot round. */
export function exactScore({ q, k, headDim }: AttentionHeadRecord, query: number, key: number): bigint {
  let score = 0n;
  for (let i = 0; i < headDim; i++) score += BigInt(q[query * headDim + i]!) * BigInt(k[key * headDim + i]!);
  return score;
}
