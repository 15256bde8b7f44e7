/** From the values that a graph computed to zero masks in a trace. */
import type { Tensor } from '../graph/types.js';
import type { Fetched } from '../runtime/types.js';
import { ACTIVATIONS } from '../trace/matrices.js';
import type { MaskRecord } from '../trace/types.js';
import type { MatrixPoint, WeightPoint } from './pruning-points.js';

/** A matrix and the value to read it from. */
export type ObservedMatrix = Pick<MatrixPoint, 'layer' | 'matrix' | 'layout'> & { readonly observed: string };

/** Masks of a batch, sequence by sequence, without padding; those of the weights with the sequence numbered 0. */
export function* maskRecords(
  matrices: readonly ObservedMatrix[],
  weights: readonly (WeightPoint & { readonly tensor: Tensor })[],
  fetched: Fetched,
  lengths: readonly number[],
  firstSequence: number,
): Generator<MaskRecord> {
  for (const [item, tokens] of lengths.entries()) {
    const sequence = firstSequence + item;
    if (sequence === 0) yield* joined(weights.map((weight) => weightMask(weight)));
    yield* joined(matrices.map((matrix) => maskOf(matrix, fetched[matrix.observed]!, { item, tokens, sequence })));
  }
}

/** Parts of one matrix, which follow each other, as one: side by side, or below each other where heads stand so. */
export function joined(parts: readonly MaskRecord[]): MaskRecord[] {
  const whole: MaskRecord[][] = [];
  for (const part of parts) {
    const last = whole.at(-1) ?? [];
    if (last.some(({ layer, matrix }) => layer === part.layer && matrix === part.matrix)) last.push(part);
    else whole.push([part]);
  }
  return whole.map((same) => (same.length === 1 ? same[0]! : join(same)));
}

const STACKED: ReadonlySet<string> = new Set([ACTIVATIONS.scores, ACTIVATIONS.probabilities]);

function join(parts: readonly MaskRecord[]): MaskRecord {
  const [first] = parts as [MaskRecord];
  const stacked = STACKED.has(first.matrix);
  const at = (side: 'rows' | 'columns') =>
    parts.flatMap((part) => Array.from({ length: part[side] }, (_, i) => [part, i] as const));
  const along = at(stacked ? 'rows' : 'columns');
  const element = (row: number, column: number) => {
    const [part, within] = along[stacked ? row : column]!;
    const bit = (stacked ? within : row) * part.columns + (stacked ? column : within);
    return (part.nonZero[bit >> 3]! >> (bit & 7)) & 1;
  };
  const [rows, columns] = stacked ? [along.length, first.columns] : [first.rows, along.length];
  return { ...bits(first, rows, columns, element), step: first.step };
}

interface Item {
  /** Row of the batch. */
  readonly item: number;
  readonly tokens: number;
  readonly sequence: number;
}

/** The mask of one sequence's matrix. */
export function maskOf(
  { layer, matrix, layout }: ObservedMatrix,
  value: Tensor,
  { item, tokens, sequence }: Item,
  phase: MaskRecord['phase'] = 'forward',
): MaskRecord {
  const at = { sequence, layer, phase, matrix };
  const data = value.data as Float32Array;
  const size = value.data.length / value.shape[0]!;
  const start = item * size;
  if (layout.kind === 'vector') return bits(at, 1, size, (_, column) => data[start + column]!);
  if (layout.kind === 'scores') {
    const [, heads, queries, keys] = value.shape as [number, number, number, number];
    const row = (r: number) => (Math.floor(r / tokens) * queries + (r % tokens)) * keys;
    return bits(at, heads * tokens, tokens, (r, column) => data[start + row(r) + column]!);
  }
  const { rowStep, columnOffsets } = rowsOf(value.shape, layout.tokens);
  return bits(at, tokens, columnOffsets.length, (r, column) => data[start + r * rowStep + columnOffsets[column]!]!);
}

/** Where the columns of a token's row lie, axes other than the tokens' in order, the last one fastest. */
function rowsOf(shape: readonly number[], tokens: number): { rowStep: number; columnOffsets: readonly number[] } {
  const step = (axis: number) => shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  let columnOffsets = [0];
  for (const [axis, size] of shape.entries()) {
    if (axis === 0 || axis === tokens) continue;
    columnOffsets = columnOffsets.flatMap((offset) => Array.from({ length: size }, (_, i) => offset + i * step(axis)));
  }
  return { rowStep: step(tokens), columnOffsets };
}

/** @param sequence of the record: 0 */
export function weightMask(
  { layer, matrix, transposed, tensor }: WeightPoint & { readonly tensor: Tensor },
  phase: MaskRecord['phase'] = 'forward',
): MaskRecord {
  const data = tensor.data as Float32Array;
  const [first, second] = tensor.shape as [number, number];
  const [rows, columns] = transposed ? [second, first] : [first, second];
  const at = { sequence: 0, layer, phase, matrix };
  return bits(at, rows, columns, (row, column) => data[transposed ? column * second + row : row * second + column]!);
}

function bits(
  at: Pick<MaskRecord, 'sequence' | 'layer' | 'phase' | 'matrix'>,
  rows: number,
  columns: number,
  element: (row: number, column: number) => number,
): MaskRecord {
  const nonZero = new Uint8Array(Math.ceil((rows * columns) / 8));
  for (let row = 0, bit = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, bit++) {
      if (element(row, column) !== 0) nonZero[bit >> 3]! |= 1 << (bit & 7);
    }
  }
  const { sequence, layer, phase, matrix } = at;
  return { kind: 'mask', sequence, step: 0, layer, phase, matrix, rows, columns, tile: [1, 1], nonZero };
}
