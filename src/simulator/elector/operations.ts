/** What a program for the corrected ELECTOR consists of: matrices, and operations that read and write them. */
import type { MaskRecord } from '../../trace/types.js';

/** Where the zero mask of a matrix is found: a recorded matrix, or a part of its rows or columns. */
export interface MaskPlace {
  readonly phase: MaskRecord['phase'];
  readonly layer: number;
  /** A name of trace/matrices.ts; undefined: no trace records it. */
  readonly matrix: string | undefined;
  readonly firstRow: number;
  readonly firstColumn: number;
  /** Of matrices that hold the rows of one head below those of another: the head, with as many rows as tokens. */
  readonly rowBlock: number;
  /** Which share of zeros holds where no trace says it; tables such as the Fourier matrix are dense. */
  readonly content: 'activation' | 'weight' | 'gradient' | 'dense';
}

export interface Matrix {
  readonly id: number;
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  /** One for all sequences of the batch: weights and their gradients. */
  readonly shared: boolean;
  readonly buffer: 'activation' | 'weight';
  readonly mask: MaskPlace;
  /** Lies in main memory before the run. */
  readonly stored: boolean;
  /** Must be in main memory after the run: gradients of weights. */
  readonly kept: boolean;
}

export interface Operand {
  readonly matrix: Matrix;
  readonly transposed: boolean;
}

interface OperationBase {
  readonly id: number;
  readonly name: string;
  /** −1: before the first layer. */
  readonly layer: number;
  readonly reads: readonly Matrix[];
  /** A matrix with several writers is their sum; it is there when all of them are done. */
  readonly writes: Matrix;
  /** All of them, once. */
  readonly touches: readonly Matrix[];
}

/** Left [i × k] · right [k × j]. */
export interface Product extends OperationBase {
  readonly kind: 'product';
  readonly left: Operand;
  readonly right: Operand;
}

/**
 * Depth-wise convolution over the tokens: rows · kernel · columns multiplications a sequence. What is found for token r
 * takes from the other side, for each tap t of the kernel with its centre at h:
 *
 * - output: input[r + t − h] · other[t], the kernel
 * - input gradient: input[r + h − t] · other[t]; input is the output's gradient
 * - kernel gradient: input[r] · other[r + t − h], summed over r; input is the output's gradient, other the values
 */
export interface Convolution extends OperationBase {
  readonly kind: 'convolution';
  readonly finds: 'output' | 'input gradient' | 'kernel gradient';
  readonly input: Matrix;
  readonly other: Matrix;
  /** Taps. */
  readonly kernel: number;
}

/** One pass over each element of `input`. `gather` copies rows: of the embedding, and of its gradient. */
export interface Pass extends OperationBase {
  readonly kind: 'non-linearity' | 'softmax' | 'layer-norm' | 'gather';
  readonly input: Matrix;
}

export type Operation = Product | Convolution | Pass;

export interface Program {
  readonly matrices: readonly Matrix[];
  /** In program order: an operation reads only what stands before it. */
  readonly operations: readonly Operation[];
  readonly embedding: Matrix;
}
