import type { GraphBuilder } from '../builder.js';
import type { AttentionBlock } from './attention.js';

/**
 * Repeats an attention layer's masking on other scores: `scaled` stands for rawScores · block.scale and has their
 * shape; the result takes the place of softmaxInput. Scales that the exporter put after a mask are kept in effect.
 */
export function replaySteps(b: GraphBuilder, block: AttentionBlock, scaled: string): string {
  const firstMask = block.steps.findIndex(({ kind }) => kind === 'mask');
  const isEarlyScale = (i: number) => block.steps[i]!.kind === 'scale' && (firstMask < 0 || i < firstMask);
  const late = block.steps.reduce((total, { factor }, i) => (isEarlyScale(i) ? total : total * factor), 1);
  let value = late === 1 ? scaled : b.div(scaled, b.constant(late));
  block.steps.forEach(({ node, input }, i) => {
    if (isEarlyScale(i)) return;
    const output = b.unique(node.outputs[0]!);
    const inputs = node.inputs.map((name, at) => (at === input ? value : name));
    b.append({ ...node, name: b.unique(node.name), inputs, outputs: [output] });
    value = output;
  });
  return value;
}

/** The keys as [batch, heads, keys, headDim] (or [batch·heads, keys, headDim]), transposed back where needed. */
export function keyRows(b: GraphBuilder, block: AttentionBlock): string {
  if (block.keyLayout === 'tokens-dim') return block.key;
  const rank = b.shapeOf(block.key).length;
  return b.transpose(block.key, [...Array(rank - 2).keys(), rank - 1, rank - 2], `${block.key}_rows`);
}
