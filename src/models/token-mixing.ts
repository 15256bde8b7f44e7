/**
 * Heads that mix tokens without scores (FlexiBERT 2.0): discrete Fourier and cosine transforms, whose matrix is fixed
 * (FNet, Lee-Thorp et al., NAACL 2022), and depth-wise convolutions, whose kernel is learned. Each reads a learned
 * projection of the layer's input to the head's width, as attention reads its values. Padding counts as zeros: what a
 * head gives for a sequence does not depend on how far its batch is padded.
 */
import type { GraphBuilder } from '../graph/builder.js';
import { floatTensor, int, type Tensor } from '../graph/types.js';
import type { HeadOperation } from '../workload/transformer.js';
import { linear, type WeightSource } from './blocks.js';

/** Which tokens there are. */
export interface TokenMask {
  /** int64 [batch, tokens] */
  readonly inputIds: string;
  /** float32 [batch, tokens], 1 for real tokens, 0 for padding */
  readonly attentionMask: string;
  /** Most tokens of a sequence: transforms have this length, whatever the number of tokens. */
  readonly positions: number;
}

export interface MixingSizes {
  /** One of the heads, which are all alike. */
  readonly head: HeadOperation;
  /** Width of the input. */
  readonly from: number;
  readonly heads: number;
}

const ORDER: readonly HeadOperation['kind'][] = ['sdp', 'wma', 'dft', 'dct', 'conv'];
const kernelOf = (head: HeadOperation): number => (head.kind === 'conv' ? head.kernel : 0);

/** Heads that are alike, side by side: scaled dot products, weighted ones, transforms, convolutions by kernel. */
export function headGroups(heads: readonly HeadOperation[]): HeadOperation[][] {
  const kernels = [...new Set(heads.map(kernelOf))].sort((a, b) => a - b);
  const groups = ORDER.flatMap((kind) =>
    kernels.map((kernel) => heads.filter((head) => head.kind === kind && kernelOf(head) === kernel)),
  );
  return groups.filter(({ length }) => length > 0);
}

/**
 * x [batch, tokens, from] → `${name}.KIND.context` [batch, tokens, heads·dim], with KIND dft, dct or conv and the kernel
 * (conv5). What is mixed: `${name}.KIND.value`, and `${name}.KIND.value.real` with zeros for padding. Convolutions learn
 * the initializer `${name}.KIND.kernel` [kernel, heads·dim].
 */
export function tokenMixing(
  b: GraphBuilder,
  weights: WeightSource,
  x: string,
  mask: TokenMask,
  { head, from, heads }: MixingSizes,
  layer: string,
): string {
  const width = heads * head.dim;
  const name = `${layer}.${head.kind}${head.kind === 'conv' ? head.kernel : ''}`;
  const value = linear(b, weights, x, [from, width], `${name}.value`);
  const real = b.mul(
    value,
    once(b, 'token_mask', () => tokenMask(b, mask)),
    `${name}.value.real`,
  );
  if (head.kind !== 'conv') {
    const kind = head.kind === 'dct' ? 'dct' : 'dft';
    const matrix = once(b, `${kind}.tokens`, () => transformMatrix(b, mask, kind));
    return b.matmul(matrix, real, `${name}.context`);
  }
  const kernel = b.initializer(`${name}.kernel`, weights(`${name}.kernel`, [head.kernel, width]));
  const mixed = convolution(b, real, kernel, head.kernel, name);
  // Shapes of shifted slices are not followed; state that there are as many tokens as before.
  const shape = b.op('Concat', [b.op('Shape', [mask.inputIds]), b.ints([width])], { axis: int(0) }, `${name}.shape`);
  return b.op('Reshape', [mixed, shape], {}, `${name}.context`);
}

/** A value that layers share: made when the first of them asks for it. */
const once = (b: GraphBuilder, name: string, make: () => string): string => (b.types.has(name) ? name : make());

const tokenMask = (b: GraphBuilder, { attentionMask }: TokenMask): string =>
  b.op('Unsqueeze', [attentionMask, b.ints([2])], {}, 'token_mask');

/**
 * The first rows and columns of the transform of the full length, as many as there are tokens: the transform of the
 * sequence extended with zeros. [tokens, tokens]
 */
function transformMatrix(b: GraphBuilder, { inputIds, positions }: TokenMask, kind: 'dft' | 'dct'): string {
  const table = b.initializer(`${kind}.matrix`, (kind === 'dft' ? fourier : cosine)(positions));
  const count = b.op('Shape', [inputIds], { start: int(1), end: int(2) }, 'token_count');
  const both = b.op('Concat', [count, count], { axis: int(0) }, `${kind}.shape`);
  const part = b.op('Slice', [table, b.ints([0, 0]), both], {}, `${kind}.part`);
  return b.op('Reshape', [part, both], {}, `${kind}.tokens`);
}

/** Real part of the discrete Fourier transform, over √n so that it keeps lengths: cos(2π·j·k/n)/√n. */
const fourier = (n: number): Tensor =>
  square(n, (row, column) => Math.cos((2 * Math.PI * ((row * column) % n)) / n) / Math.sqrt(n));

/** Orthonormal discrete cosine transform of type II (Ahmed, Natarajan & Rao, 1974). */
const cosine = (n: number): Tensor =>
  square(n, (row, column) => {
    const scale = Math.sqrt((row === 0 ? 1 : 2) / n);
    return scale * Math.cos((Math.PI * ((row * (2 * column + 1)) % (4 * n))) / (2 * n));
  });

function square(n: number, entry: (row: number, column: number) => number): Tensor {
  const values = new Float32Array(n * n);
  for (let i = 0; i < values.length; i++) values[i] = entry(Math.floor(i / n), i % n);
  return floatTensor(values, [n, n]);
}

/** Σ_o kernel[o] · x[token + o − ⌊(size − 1)/2⌋] for each column, zeros beyond the ends. */
function convolution(b: GraphBuilder, x: string, kernel: string, size: number, name: string): string {
  const before = Math.floor((size - 1) / 2);
  const padded = b.op('Pad', [x, b.ints([0, before, 0, 0, size - 1 - before, 0])], {}, `${name}.padded`);
  let sum: string | undefined;
  for (let tap = 0; tap < size; tap++) {
    const end = tap === size - 1 ? Number.MAX_SAFE_INTEGER : tap + 1 - size;
    const shifted = b.op('Slice', [padded, b.ints([tap]), b.ints([end]), b.ints([1])], {}, `${name}.shifted`);
    const row = b.op('Slice', [kernel, b.ints([tap]), b.ints([tap + 1]), b.ints([0])], {}, `${name}.tap`);
    const product = b.mul(shifted, row, `${name}.product`);
    sum = sum === undefined ? product : b.add(sum, product, `${name}.sum`);
  }
  return sum!;
}
