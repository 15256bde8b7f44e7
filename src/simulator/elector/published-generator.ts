/**
 * Operations of a transformer as AccelTran's and TransCODE's published simulators list them, quirks included:
 * weights carry the batch dimension, non-linearities have the size of the product's input, and a wma head stores its
 * keys twice under one name. Sizes in elements.
 */
import type { HeadOperation, TransformerArchitecture, TransformerLayer } from '../../workload/transformer.js';
import type { ComputeOperation, Dims, Entry, MemoryOperation, PublishedOperations } from './published-operations.js';

export interface PublishedSizes {
  /** Sequences that are processed together. */
  readonly batch: number;
  /** Tokens of a sequence. */
  readonly tokens: number;
}

/** Both sequences of a model; training appends the backward pass to the forward pass. */
export function publishedOperations(
  architecture: TransformerArchitecture,
  { batch, tokens }: PublishedSizes,
  phase: 'inference' | 'training',
): PublishedOperations {
  const blocks = architecture.layers.flatMap((layer, index) =>
    layerBlocks({ layer, index, batch, tokens, nextHidden: architecture.layers[index + 1]?.hidden }),
  );
  const forward = blocks.map((block) => block.forward);
  const backward = phase === 'training' ? blocks.map((block) => block.backward).reverse() : [];
  const passes = [...forward, ...backward];
  return {
    memory: [loadEmbeddings(architecture), ...passes.flatMap((step) => step.memory)],
    compute: passes.flatMap((step) => step.compute),
  };
}

/** Part of a layer: what it adds to the sequences in both directions. */
interface Block {
  readonly forward: PublishedOperations;
  readonly backward: PublishedOperations;
}

interface LayerSizes {
  readonly layer: TransformerLayer;
  readonly index: number;
  readonly batch: number;
  readonly tokens: number;
  /** Width of the next layer; undefined in the last. */
  readonly nextHidden: number | undefined;
}

function layerBlocks(sizes: LayerSizes): Block[] {
  const { layer, index, batch, tokens, nextHidden } = sizes;
  const { hidden } = layer;
  const name = `layer${index}`;
  const norm = (which: number) => unary('layer-norm', `${name}_norm${which}`, [batch, tokens, hidden], []);
  const blocks = [headsBlock(sizes), norm(1)];
  let width = hidden;
  for (const [stack, next] of [...layer.feedForward, hidden].entries()) {
    blocks.push(...denseBlocks(`${name}_ff${stack}`, [batch, tokens, width], next));
    width = next;
  }
  blocks.push(norm(2));
  if (nextHidden !== undefined && nextHidden !== hidden) {
    blocks.push(...denseBlocks(`${name}_projection`, [batch, tokens, hidden], nextHidden));
  }
  return blocks;
}

/** A product with weights, then a non-linearity that has the size of the product's input, not of its output. */
function denseBlocks(name: string, input: Dims, width: number): Block[] {
  const [batch, tokens, inner] = input;
  const weights: Dims = [batch, inner, width];
  const output: Dims = [batch, tokens, width];
  const gradient = `${name}-gradient`;
  const product: Block = {
    forward: {
      memory: [load(name, weights), store(name, output)],
      compute: [matmul(name, input, weights, [weightsOf(name)])],
    },
    // the gradient of the input is left out
    backward: {
      memory: [storeGradient(gradient, weights)],
      compute: [backwardMatmul(gradient, transposed(input), output)],
    },
  };
  return [product, unary('non-linearity', `${name}_activation`, input, [name])];
}

/** An operation with one operand and no data of its own; the backward pass repeats it as it is. */
function unary(kind: 'layer-norm' | 'non-linearity', name: string, left: Dims, requires: readonly string[]): Block {
  const step = { memory: [], compute: [{ kind, name, left, requires, backward: false }] };
  return { forward: step, backward: step };
}

function headsBlock({ layer, index, batch, tokens }: LayerSizes): Block {
  const passes = layer.heads.map((head, at) =>
    headPasses(`layer${index}_head${at}`, head, [batch, tokens, layer.hidden]),
  );
  return {
    forward: sideBySide(passes.map((pass) => pass.forward)),
    backward: sideBySide(passes.map((pass) => pass.backward)),
  };
}

interface HeadPass {
  readonly memory: readonly MemoryOperation[];
  readonly compute: readonly ComputeOperation[];
}

/** Heads without operations vanish: heads without weights have no backward pass. */
function sideBySide(passes: readonly HeadPass[]): PublishedOperations {
  const heads = <Operation>(lists: readonly (readonly Operation[])[]): Entry<Operation> => ({
    heads: lists.filter((list) => list.length > 0),
  });
  return { memory: [heads(passes.map((pass) => pass.memory))], compute: [heads(passes.map((pass) => pass.compute))] };
}

function headPasses(name: string, head: HeadOperation, input: Dims): { forward: HeadPass; backward: HeadPass } {
  switch (head.kind) {
    case 'sdp':
    case 'wma':
      return { forward: attention(name, head, input), backward: attentionBackward(name, head, input) };
    case 'conv':
      return convolution(name, head.kernel, input);
    case 'dft':
    case 'dct':
      return { forward: linearTransform(name, input), backward: { memory: [], compute: [] } };
  }
}

/** Self-attention, and with wma the weighted keys between projections and scores. */
function attention(name: string, { kind, dim }: HeadOperation, input: Dims): HeadPass {
  const [batch, tokens, hidden] = input;
  const [q, k, v] = ['q', 'k', 'v'].map((which) => `${name}_${which}`) as [string, string, string];
  const [wma, scores, softmax, context, output] = ['wma', 'scores', 'softmax', 'context', 'output'].map(
    (which) => `${name}_${which}`,
  ) as [string, string, string, string, string];
  const projection: Dims = [batch, hidden, dim];
  const vectors: Dims = [batch, tokens, dim];
  const square: Dims = [batch, tokens, tokens];
  const outputWeights: Dims = [batch, dim, hidden];
  const weighted = kind === 'wma';
  return {
    memory: [
      ...[q, k, v].map((which) => load(which, projection)),
      ...[q, k, v].map((which) => store(which, vectors)),
      // the weighted keys are stored under the keys' name
      ...(weighted ? [load(wma, [batch, dim, dim]), store(k, vectors)] : []),
      store(scores, square),
      store(softmax, square),
      store(context, vectors),
      load(output, outputWeights),
      store(output, input),
    ],
    compute: [
      ...[q, k, v].map((which) => matmul(which, input, projection, [weightsOf(which)])),
      ...(weighted ? [matmul(wma, [batch, dim, dim], transposed(vectors), [weightsOf(wma), k, q, v])] : []),
      matmul(scores, vectors, transposed(vectors), [q, k, v]),
      { kind: 'softmax', name: softmax, left: square, requires: [scores, v], backward: false },
      matmul(context, square, vectors, [v, softmax]),
      matmul(output, vectors, outputWeights, [weightsOf(output), context]),
    ],
  };
}

/** Gradients of self-attention: of the weights, which are stored, and what they need. */
function attentionBackward(name: string, { kind, dim }: HeadOperation, input: Dims): HeadPass {
  const [batch, tokens, hidden] = input;
  const square: Dims = [batch, tokens, tokens];
  const vectors: Dims = [batch, tokens, dim];
  const narrow: Dims = [batch, dim, tokens];
  const weighted: Dims = [batch, dim, dim];
  const projection: Dims = [batch, hidden, dim];
  const inputTransposed = transposed(input);
  const product = (what: string, left: Dims, right: Dims) => backwardMatmul(`${name}_${what}`, left, right);
  const gradient = (what: string, dims: Dims) => storeGradient(`${name}_${what}-gradient`, dims);
  const wma = kind === 'wma';
  return {
    memory: [
      gradient('output', [batch, dim, hidden]),
      gradient('context', vectors),
      gradient('scores-k', narrow),
      gradient('scores-q', vectors),
      ...(wma ? [gradient('wma', weighted)] : []),
      ...['q', 'k', 'v'].map((which) => gradient(which, projection)),
    ],
    compute: [
      product('output-gradient', narrow, input),
      product('context-delta', input, [batch, hidden, dim]),
      product('context-gradient', square, vectors),
      product('scores-k-delta', vectors, narrow),
      product('scores-k-gradient', narrow, square),
      product('scores-q-delta', narrow, vectors),
      product('scores-q-gradient', vectors, weighted),
      ...(wma ? [product('wma-delta', narrow, square), product('wma-gradient', narrow, vectors)] : []),
      product('q-delta', weighted, narrow),
      product('q-gradient', inputTransposed, vectors),
      product('k-delta', square, vectors),
      product('k-gradient', inputTransposed, vectors),
      // not of the size that is stored
      product('v-delta', vectors, narrow),
      product('v-gradient', inputTransposed, square),
    ],
  };
}

/** A convolution over the tokens; its backward pass is one with a kernel as long as the sequence. */
function convolution(name: string, kernel: number, input: Dims): { forward: HeadPass; backward: HeadPass } {
  const [batch, tokens, hidden] = input;
  const weights: Dims = [batch, kernel, hidden];
  const conv = `${name}_conv`;
  const gradient = `${conv}-gradient`;
  return {
    forward: {
      memory: [load(conv, weights), store(conv, input)],
      compute: [{ kind: 'conv', name: conv, left: input, kernel, requires: [weightsOf(conv)], backward: false }],
    },
    backward: {
      memory: [storeGradient(gradient, weights)],
      compute: [{ kind: 'conv', name: gradient, left: input, kernel: tokens, requires: [], backward: true }],
    },
  };
}

/** A Fourier or cosine transform: a product with a Vandermonde matrix that is loaded like weights. */
function linearTransform(name: string, input: Dims): HeadPass {
  const [batch, tokens] = input;
  const vandermonde: Dims = [batch, tokens, tokens];
  const transform = `${name}_transform`;
  return {
    memory: [load(transform, vandermonde), store(transform, input)],
    compute: [matmul(transform, vandermonde, input, [weightsOf(transform)])],
  };
}

function loadEmbeddings({ vocabulary, tokens, layers }: TransformerArchitecture): MemoryOperation {
  const dims: Dims = [1, vocabulary + tokens, layers[0]?.hidden ?? 0];
  return { kind: 'load', name: 'embeddings', dims, buffer: 'weight', overwrite: false, pinned: true };
}

const weightsOf = (name: string) => `${name}-weights`;

const transposed = ([batch, rows, columns]: Dims): Dims => [batch, columns, rows];

/** The weights of the operation with that name. */
function load(name: string, dims: Dims): MemoryOperation {
  return { kind: 'load', name: weightsOf(name), dims, buffer: 'weight', overwrite: false, pinned: false };
}

function store(name: string, dims: Dims): MemoryOperation {
  return { kind: 'store', name, dims, buffer: 'activation', overwrite: false, pinned: false };
}

function storeGradient(name: string, dims: Dims): MemoryOperation {
  return { kind: 'store', name, dims, buffer: 'weight', overwrite: true, pinned: false };
}

function matmul(name: string, left: Dims, right: Dims, requires: readonly string[]): ComputeOperation {
  return { kind: 'matmul', name, left, right, requires, backward: false };
}

function backwardMatmul(name: string, left: Dims, right: Dims): ComputeOperation {
  return { kind: 'matmul', name, left, right, requires: [], backward: true };
}
