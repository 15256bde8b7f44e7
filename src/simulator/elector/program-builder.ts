/** Collects a program's matrices and operations. */
import type { Convolution, MaskPlace, Matrix, Operand, Operation, Pass } from './operations.js';

interface Size {
  readonly rows: number;
  readonly columns: number;
}

export const operand = (matrix: Matrix, transposed = false): Operand => ({ matrix, transposed });

export class ProgramBuilder {
  readonly matrices: Matrix[] = [];
  readonly operations: Operation[] = [];
  readonly #tables = new Map<string, Matrix>();

  constructor(readonly tokens: number) {}

  activation(name: string, columns: number, mask: Partial<MaskPlace>, rows = this.tokens): Matrix {
    return this.#matrix(name, { rows, columns }, { content: 'activation', ...mask }, {});
  }

  gradient(name: string, of: Matrix): Matrix {
    const mask = { ...of.mask, phase: 'backward', content: 'gradient' } as const;
    return this.#matrix(name, of, mask, {});
  }

  weight(name: string, rows: number, columns: number, mask: Partial<MaskPlace>): Matrix {
    return this.#matrix(name, { rows, columns }, { content: 'weight', ...mask }, WEIGHT);
  }

  /** A fixed square matrix over the tokens: one for all heads. */
  table(kind: string): Matrix {
    let table = this.#tables.get(kind);
    if (!table) {
      table = this.weight(kind, this.tokens, this.tokens, { content: 'dense' });
      this.#tables.set(kind, table);
    }
    return table;
  }

  /** Of the rows that the batch took. */
  embeddingGradient(of: Matrix): Matrix {
    const mask = { ...of.mask, phase: 'backward', content: 'gradient' } as const;
    return this.#matrix("embedding'", of, mask, { buffer: 'weight', kept: true });
  }

  weightGradient(of: Matrix): Matrix {
    const mask = { ...of.mask, phase: 'update', content: 'gradient' } as const;
    return this.#matrix(`${of.name}'`, of, mask, { ...WEIGHT, stored: false, kept: true });
  }

  product(name: string, layer: number, left: Operand, right: Operand, writes: Matrix): void {
    const reads = [left.matrix, right.matrix];
    this.#add({ kind: 'product', id: this.#id, name, layer, left, right, reads, writes, touches: all(reads, writes) });
  }

  convolution(
    name: string,
    layer: number,
    { finds, input, other, kernel }: Pick<Convolution, 'finds' | 'input' | 'other' | 'kernel'>,
    writes: Matrix,
  ): void {
    const reads = [input, other];
    const touches = all(reads, writes);
    this.#add({ kind: 'convolution', id: this.#id, name, layer, finds, input, other, kernel, reads, writes, touches });
  }

  pass(kind: Pass['kind'], name: string, layer: number, reads: readonly Matrix[], writes: Matrix): void {
    const touches = all(reads, writes);
    this.#add({ kind, id: this.#id, name, layer, input: reads[0]!, reads, writes, touches });
  }

  get #id(): number {
    return this.operations.length;
  }

  #add(operation: Operation): void {
    this.operations.push(operation);
  }

  #matrix(
    name: string,
    { rows, columns }: Size,
    {
      phase = 'forward',
      layer = -1,
      matrix,
      firstRow = 0,
      firstColumn = 0,
      rowBlock = 0,
      content = 'dense',
    }: Partial<MaskPlace>,
    { shared = false, buffer = 'activation', stored = false, kept = false }: Partial<Matrix>,
  ): Matrix {
    const mask = { phase, layer, matrix, firstRow, firstColumn, rowBlock, content };
    const made = { id: this.matrices.length, name, rows, columns, shared, buffer, mask, stored, kept };
    this.matrices.push(made);
    return made;
  }
}

/** Each once. */
function all(reads: readonly Matrix[], writes: Matrix): Matrix[] {
  const touches = reads.filter((matrix, at) => reads.indexOf(matrix) === at);
  if (!touches.includes(writes)) touches.push(writes);
  return touches;
}

const WEIGHT = { shared: true, buffer: 'weight', stored: true } as const;
