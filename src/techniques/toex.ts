/**
 * ToEx (IEEE TC 2024): a decoder emits a token after as few layers as it is sure of. Only the abstract is public; what
 * follows is a reconstruction.
 *
 * - After each checked layer the final norm and a light output embedding say how sure the decoder is (`toex-exits.ts`).
 * - A token that leaves early has no keys and values at deeper layers. Lazy back-fill computes them as soon as a later token
 *   loads such a layer: then all tokens see what they would see without exits, and nothing is approximated.
 * - Rivals: state propagation (CALM, Schuster et al., NeurIPS 2022), which takes those keys and values from the hidden state
 *   that the token left with; and none at all.
 *
 * The graph is a pass over whole texts: row t of every layer is step t of decoding that text.
 */
import { GraphBuilder } from '../graph/builder.js';
import { withOutputs } from '../graph/edit.js';
import type { AttentionBlock } from '../graph/patterns/attention.js';
import { floatTensor, type Graph, int } from '../graph/types.js';
import type { Feeds } from '../runtime/types.js';
import { attentionOf, rewire } from './attention-layers.js';
import { decoderExits, ExitBuilder } from './toex-exits.js';
import type { ToexOptions } from './toex-options.js';

/** Input of rewritten graphs, float32 [layers − 1]: least confidence to leave after each layer. */
export const THRESHOLDS_INPUT = 'toex.thresholds';
/** Outputs int64 [batch, tokens]: layers that each token ran, and the token that it emits. */
export const EXITS = 'toex.exits';
export const EMITTED = 'toex.emitted';
/** Output float32 [batch, tokens, vocabulary]: logits of each token at its exit. */
export const LOGITS = 'toex.logits';

/** Where keys and values of tokens that left early come from at deeper layers. */
export type BackFill = 'lazy' | 'propagate' | 'none';

export type CheckOptions = Pick<ToexOptions, 'candidates' | 'confidence' | 'outputEmbedding'>;

/** exp of it is 0 in float32. */
const MASKED = -1e9;

/**
 * The decoder with early exit, with the outputs above in place of `logits`.
 * @throws TANDEM_MODEL_UNSUPPORTED, TANDEM_CONFIG_INVALID
 */
export function toexRewrite(graph: Graph, options: CheckOptions, backFill: BackFill): Graph {
  const exits = decoderExits(graph);
  const layers = exits.hidden.length;
  const b = new GraphBuilder(graph.name, graph);
  const thresholds = b.input(THRESHOLDS_INPUT, 'float32', [layers - 1]);
  const blocks = backFill === 'none' ? attentionOf(graph) : [];
  const replaced = new Map<string, string>();
  // Hidden states as deeper layers read them; a token that left keeps its own where states are propagated.
  const hidden: string[] = [];
  const builder = new ExitBuilder(b, { ...exits, hidden }, options);
  let gone: string | undefined;
  let found: Exit | undefined;
  for (const [layer, output] of exits.hidden.entries()) {
    if (gone !== undefined && backFill === 'propagate') {
      const kept = b.op('Where', [b.op('Unsqueeze', [gone, b.ints([-1])]), hidden[layer - 1]!, output]);
      replaced.set(output, kept);
      hidden.push(kept);
    } else hidden.push(output);
    if (gone !== undefined && backFill === 'none') hideKeys(b, blocks[layer]!, gone, replaced);

    const last = layer === layers - 1;
    const check = last || options.outputEmbedding === 'full' ? builder.full(layer) : builder.light(layer);
    const here: Exit = { logits: builder.logits(layer), token: check.token, depth: b.scalar('int64', layer + 1) };
    found = found && gone ? chosen(b, gone, found, here) : here;
    if (last) break;
    const least = b.op('Gather', [thresholds, b.scalar('int64', layer)], { axis: int(0) });
    const leaves = b.op('GreaterOrEqual', [check.confidence, least]);
    gone = gone === undefined ? leaves : b.op('Or', [gone, leaves]);
  }
  const { logits, token, depth } = found!;
  const whole = b.op('Expand', [depth, b.op('Shape', [token])], {}, EXITS);
  const emitted = b.op('Identity', [token], {}, EMITTED);
  const values = b.op('Identity', [logits], {}, LOGITS);
  return withOutputs(rewire(b, graph, replaced), [values, whole, emitted]);
}

export const thresholdFeeds = (thresholds: readonly number[]): Feeds => ({
  [THRESHOLDS_INPUT]: floatTensor(thresholds),
});

/** What a token says at an exit: [batch, tokens, vocabulary], [batch, tokens], [batch, tokens] or a scalar. */
interface Exit {
  readonly logits: string;
  readonly token: string;
  readonly depth: string;
}

/** Tokens that are gone keep what they said. */
function chosen(b: GraphBuilder, gone: string, before: Exit, here: Exit): Exit {
  const select = (condition: string, part: keyof Exit) => b.op('Where', [condition, before[part], here[part]]);
  return {
    logits: select(b.op('Unsqueeze', [gone, b.ints([-1])]), 'logits'),
    token: select(gone, 'token'),
    depth: select(gone, 'depth'),
  };
}

/** Keys of tokens that are gone are seen by nobody but the token itself, whose row no longer counts. */
function hideKeys(
  b: GraphBuilder,
  { softmaxInput }: AttentionBlock,
  gone: string,
  replaced: Map<string, string>,
): void {
  const count = b.op('Shape', [gone], { start: int(1), end: int(2) });
  const square = b.op('Concat', [count, count], { axis: int(0) });
  const ones = b.op('Expand', [b.scalar('float32', 1), square]);
  const own = b.op('Trilu', [b.op('Trilu', [ones], { upper: int(1) })], { upper: int(0) });
  const others = b.op('Equal', [own, b.constant(0)]);
  const keys = b.op('And', [b.op('Unsqueeze', [gone, b.ints([1, 2])]), others]);
  replaced.set(softmaxInput, b.op('Where', [keys, b.constant(MASKED), softmaxInput]));
}
