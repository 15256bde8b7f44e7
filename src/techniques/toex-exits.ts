/** Where a decoder may exit, and what it says there: the parts that all of ToEx's rewrites share. */
import { TandemError } from '../errors.js';
import type { GraphBuilder } from '../graph/builder.js';
import { GraphIndex } from '../graph/edit.js';
import { float, floatTensor, type Graph, int, type Tensor } from '../graph/types.js';
import { attentionOf } from './attention-layers.js';
import { isCausal } from './causal.js';
import type { ToexOptions } from './toex-options.js';

/** The parts of a decoder that exits read. */
export interface DecoderExits {
  /** Residual stream behind each layer, [batch, tokens, hidden]. */
  readonly hidden: readonly string[];
  /** The norm before the output embedding; its scale and bias are initializers. */
  readonly norm: { readonly scale: string; readonly bias: string; readonly epsilon: number };
  /** The output embedding, an initializer [vocabulary, hidden]. */
  readonly embedding: string;
  readonly vocabulary: number;
}

/** @throws TANDEM_MODEL_UNSUPPORTED for a graph that is no decoder as `buildGpt2` makes it */
export function decoderExits(graph: Graph): DecoderExits {
  const index = new GraphIndex(graph);
  const product = index.producerOf('logits');
  const turned = product?.opType === 'MatMul' ? index.producerOf(product.inputs[1]!) : undefined;
  const norm = product && index.producerOf(product.inputs[0]!);
  const embedding = turned?.opType === 'Transpose' ? turned.inputs[0]! : '';
  const weights = graph.initializers.get(embedding);
  const hidden: string[] = [];
  while (index.producerOf(`layer${hidden.length}.output`)) hidden.push(`layer${hidden.length}.output`);
  const ends = norm?.opType === 'LayerNormalization' && norm.inputs[0] === hidden.at(-1);
  const unsupported = (message: string) =>
    new TandemError('TANDEM_MODEL_UNSUPPORTED', message, {
      place: `graph ${graph.name}`,
      remedy: 'Use a GPT-2: causal layers, a final norm, and logits from the transposed word embedding.',
    });
  if (!ends || weights?.shape.length !== 2 || weights.dtype !== 'float32')
    throw unsupported('The model is not a decoder whose layers share one way out.');
  // A token that could see later ones would have no step of its own to leave at.
  if (!attentionOf(graph).every((block) => isCausal(graph, block)))
    throw unsupported('Tokens of the model see those after them: it does not decode step by step.');
  const { epsilon } = norm.attributes;
  return {
    hidden,
    norm: {
      scale: norm.inputs[1]!,
      bias: norm.inputs[2]!,
      epsilon: epsilon?.kind === 'float' ? epsilon.value : 1e-5,
    },
    embedding,
    vocabulary: weights.shape[0]!,
  };
}

/** What a check finds; all [batch, tokens]. */
export interface ExitCheck {
  /** 0 … 1 */
  readonly confidence: string;
  /** The most probable token, int64. */
  readonly token: string;
}

/** Adds exits to a graph; every exit has the same final norm and output embedding. Layers count from 0. */
export class ExitBuilder {
  readonly #transposed: string;
  readonly #normed = new Map<number, string>();
  readonly #logits = new Map<number, string>();
  #light: string | undefined;

  /** @throws TANDEM_CONFIG_INVALID for more candidates than the vocabulary has tokens */
  constructor(
    readonly b: GraphBuilder,
    readonly exits: DecoderExits,
    readonly options: Pick<ToexOptions, 'candidates' | 'confidence'>,
  ) {
    const { candidates } = options;
    if (candidates > exits.vocabulary) {
      throw new TandemError('TANDEM_CONFIG_INVALID', `${candidates} candidates of ${exits.vocabulary} tokens.`, {
        place: 'technique.candidates',
        remedy: `Let checks pick at most ${exits.vocabulary}, which is all of the vocabulary.`,
      });
    }
    this.#transposed = b.transpose(exits.embedding, [1, 0], 'toex.embedding');
  }

  /** What the model would say behind a layer: [batch, tokens, vocabulary]. */
  logits(layer: number): string {
    const known = this.#logits.get(layer);
    if (known !== undefined) return known;
    const logits = this.b.matmul(this.normed(layer), this.#transposed);
    this.#logits.set(layer, logits);
    return logits;
  }

  /** Rows as the output embedding reads them: [batch, tokens, hidden]. */
  normed(layer: number): string {
    const known = this.#normed.get(layer);
    if (known !== undefined) return known;
    const { hidden, norm } = this.exits;
    const attributes = { axis: int(-1), epsilon: float(norm.epsilon) };
    const inputs = [hidden[layer]!, norm.scale, norm.bias];
    const normed = this.b.op('LayerNormalization', inputs, attributes, `toex.normed${layer}`);
    this.#normed.set(layer, normed);
    return normed;
  }

  /**
   * A check by the light output embedding: the candidates are the largest of a_v·Σ_i sign(W_vi)·h_i with a_v = mean_i |W_vi|
   * (sign(0) is +1); their exact logits go through a softmax of their own.
   */
  light(layer: number): ExitCheck {
    const { b } = this;
    this.#light ??= b.constant(lightEmbedding(b.initializers.get(this.exits.embedding)!), 'toex.light');
    const coarse = b.matmul(this.normed(layer), this.#light);
    const count = b.ints([this.options.candidates]);
    const candidates = b.node('TopK', [coarse, count], 2, { axis: int(-1) })[1]!;
    const exact = b.op('GatherElements', [this.logits(layer), candidates], { axis: int(-1) });
    const { confidence, token } = this.#decide(exact);
    const chosen = b.op('GatherElements', [candidates, b.op('Unsqueeze', [token, b.ints([-1])])], { axis: int(-1) });
    return { confidence, token: b.op('Squeeze', [chosen, b.ints([-1])]) };
  }

  /** A check by all logits. */
  full(layer: number): ExitCheck {
    return this.#decide(this.logits(layer));
  }

  /** Of logits [batch, tokens, n]; the token is a place among them. */
  #decide(logits: string): ExitCheck {
    const { b } = this;
    const probabilities = b.softmax(logits, -1);
    const [values, places] = b.node('TopK', [probabilities, b.ints([2])], 2, { axis: int(-1) }) as [string, string];
    const at = (value: string, rank: number) => b.op('Gather', [value, b.scalar('int64', rank)], { axis: int(-1) });
    const first = at(values, 0);
    const confidence = this.options.confidence === 'gap' ? b.sub(first, at(values, 1)) : first;
    return { confidence, token: at(places, 0) };
  }
}

/** From W [vocabulary, hidden] to a_v·sign(W_vi), transposed: [hidden, vocabulary]. */
export function lightEmbedding({ shape, data }: Tensor): Tensor {
  const [rows, hidden] = shape as [number, number];
  const weights = data as Float32Array;
  const light = new Float32Array(weights.length);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let i = 0; i < hidden; i++) sum += Math.abs(weights[row * hidden + i]!);
    const mean = sum / hidden;
    for (let i = 0; i < hidden; i++) light[i * rows + row] = weights[row * hidden + i]! < 0 ? -mean : mean;
  }
  return floatTensor(light, [hidden, rows]);
}
