/**
 * Encoders of post-layer-norm layers with learned positions and a pooler over the first token, as BERT (Devlin et al.,
 * NAACL 2019); layers may differ in width, heads and feed-forward stacks, as FlexiBERT 2.0's do.
 */
import { GraphBuilder } from '../graph/builder.js';
import type { Graph } from '../graph/types.js';
import type { TransformerArchitecture } from '../workload/transformer.js';
import * as blocks from './blocks.js';
import { headGroups, type TokenMask, tokenMixing } from './token-mixing.js';

export interface EncoderConfig {
  readonly name: string;
  readonly architecture: TransformerArchitecture;
  readonly segments: number;
  readonly epsilon: number;
  readonly activation: blocks.Activation;
}

export interface Encoder {
  readonly graph: Graph;
  readonly trainable: string[];
  /** The given one, the heads of each layer in the order in which the graph puts their contexts side by side. */
  readonly architecture: TransformerArchitecture;
}

/**
 * The encoder and a classifier. Besides the values that `blocks` and `token-mixing` name, with prefixes layer0, layer1, …:
 * `embedding` and `layerN.output` [batch, tokens, hidden]; `layerN.resized`, what enters a layer of another width than
 * the one before; `pooled` [batch, hidden], which the classifier reads.
 *
 * A layer's scaled dot-product heads are `layerN.query` … `layerN.context`, as if they were alone; its weighted
 * multiplicative ones `layerN.wma.query` …; its transforms `layerN.dft.context` and `layerN.dct.context`; its convolutions
 * `layerN.conv5.context` and so on. In this order they stand side by side in `layerN.heads`, which is projected to
 * `layerN.attention`.
 */
export function buildEncoder(config: EncoderConfig, weights: blocks.WeightSource, classes: number): Encoder {
  const { activation, epsilon } = config;
  const architecture = grouped(config.architecture);
  const { layers } = architecture;
  const b = new GraphBuilder(config.name);
  const trainable: string[] = [];
  const trained: blocks.WeightSource = (name, shape) => {
    trainable.push(name);
    return weights(name, shape);
  };
  const ids = b.input('input_ids', 'int64', ['batch', 'tokens']);
  const mask = b.input('attention_mask', 'float32', ['batch', 'tokens']);

  let hidden = layers[0]!.hidden;
  const table = (name: string, rows: number) => b.initializer(name, trained(name, [rows, hidden]));
  const norm = (x: string, name: string, output: string) =>
    blocks.layerNorm(b, trained, x, { size: hidden, epsilon }, name, output);
  const words = b.op('Gather', [table('embedding.word.weight', architecture.vocabulary), ids], {}, 'embedding.words');
  const places = table('embedding.position.weight', architecture.tokens);
  const segments = table('embedding.segment.weight', config.segments);
  const placed = b.add(words, blocks.positions(b, places, ids, 'embedding.positions'), 'embedding.placed');
  const firstSegment = b.op('Gather', [segments, b.scalar('int64', 0, 'first')], {}, 'embedding.segment');
  let x = norm(b.add(placed, firstSegment, 'embedding.sum'), 'embedding.norm', 'embedding');

  const bias = blocks.attentionBias(b, mask);
  const mixing: TokenMask = { inputIds: ids, attentionMask: mask, positions: architecture.tokens };
  for (const [index, layer] of layers.entries()) {
    const name = `layer${index}`;
    if (layer.hidden !== hidden) {
      const resized = blocks.linear(b, trained, x, [hidden, layer.hidden], `${name}.resize`);
      x = blocks.activate(b, resized, activation, `${name}.resized`);
      hidden = layer.hidden;
    }
    const attended = b.add(
      mixedAttention(b, trained, x, layer, { bias, mixing }, name),
      x,
      `${name}.attention.residual`,
    );
    const middle = norm(attended, `${name}.attention.norm`, `${name}.attention.normed`);
    const feed = { width: hidden, stacks: layer.feedForward, activation };
    const fed = b.add(blocks.feedForward(b, trained, middle, feed, `${name}.ffn`), middle, `${name}.ffn.residual`);
    x = norm(fed, `${name}.ffn.norm`, `${name}.output`);
  }

  const first = blocks.firstToken(b, x, 'first_token');
  const pooled = b.op('Tanh', [blocks.linear(b, trained, first, [hidden, hidden], 'pooler')], {}, 'pooled');
  b.output(blocks.linear(b, trained, pooled, [hidden, classes], 'classifier', 'logits'));
  return { graph: b.finish(), trainable, architecture };
}

/** Heads of one kind as one block each, side by side, projected back to the layer's width. */
function mixedAttention(
  b: GraphBuilder,
  weights: blocks.WeightSource,
  x: string,
  { hidden, heads }: TransformerArchitecture['layers'][number],
  { bias, mixing }: { bias: string; mixing: TokenMask },
  name: string,
): string {
  const contexts = headGroups(heads).map((group) => {
    const { kind, dim } = group[0]!;
    const sizes = { from: hidden, heads: group.length, dim };
    if (kind === 'sdp') return blocks.attentionHeads(b, weights, x, bias, sizes, name);
    if (kind === 'wma') return blocks.attentionHeads(b, weights, x, bias, { ...sizes, weighted: true }, `${name}.wma`);
    return tokenMixing(b, weights, x, mixing, { head: group[0]!, ...sizes }, name);
  });
  const [alone] = contexts as [string];
  const merged =
    contexts.length === 1 ? alone : b.op('Concat', contexts, { axis: { kind: 'int', value: 2 } }, `${name}.heads`);
  const inner = heads.reduce((width, { dim }) => width + dim, 0);
  return blocks.linear(b, weights, merged, [inner, hidden], `${name}.projection`, `${name}.attention`);
}

const grouped = (architecture: TransformerArchitecture): TransformerArchitecture => ({
  ...architecture,
  layers: architecture.layers.map((layer) => ({ ...layer, heads: headGroups(layer.heads).flat() })),
});
