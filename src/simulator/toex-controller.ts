/**
 * The lazy-computation controller: which tokens run at which layer, step by step.
 *
 * A token's completed depth is the largest exit of its own step and of all later ones, since a later step that runs layer
 * l runs it for every token that lacks it. So depth never rises with position, the tokens that lack a layer are always the
 * last ones, and one counter per layer is the whole depth table: done(l), the tokens that have completed layer l. A step
 * whose newest token is t runs layer l for the positions done(l) … t. Without back-fill the same counter says how many
 * tokens have keys and values there.
 */
import type { TokenExitsRecord } from '../trace/types.js';
import type { ToexConfig } from './toex-config.js';

/** One layer in one step. */
export interface LayerRun {
  /** 1 … L */
  readonly layer: number;
  /** Tokens whose keys and values the layer has stored before. */
  readonly before: number;
  /** Earlier tokens of which keys and values are computed, from the state that they left with, and nothing else. */
  readonly keyValueOnly: number;
  /** Tokens that run the layer; the last ones of the run. */
  readonly tokens: number;
  /** Those of them that are not the step's own. */
  readonly backFilled: number;
  /** States that come from, and go to, the pending buffer. */
  readonly statesRead: number;
  readonly statesWritten: number;
}

export interface Step {
  /** Position of the step's first token, and tokens of its own. */
  readonly first: number;
  readonly tokens: number;
  readonly exit: number;
  readonly runs: readonly LayerRun[];
}

export class Controller {
  /** done[l − 1]: tokens with keys and values at layer l. */
  readonly #done: number[];
  #tokens = 0;

  /** @param passTokens tokens whose activations the chip holds; states of longer runs leave it between layers */
  constructor(
    readonly layers: number,
    readonly backFill: ToexConfig['backFill'],
    readonly passTokens: number,
  ) {
    this.#done = new Array<number>(layers).fill(0);
  }

  /** Tokens that have keys and values at a layer, 1 … L. */
  done(layer: number): number {
    return this.#done[layer - 1]!;
  }

  step(tokens: number, exit: number): Step {
    const first = this.#tokens;
    const last = first + tokens;
    const runs: LayerRun[] = [];
    let ran = 0;
    for (let layer = 1; layer <= exit; layer++) {
      const before = this.#done[layer - 1]!;
      const missing = this.#missing(layer, first);
      const own = this.backFill === 'lazy' ? missing + tokens : tokens;
      const length = missing + tokens;
      // States stay on the chip between two layers of a step where the run fits; those that join come from the buffer.
      const resident = layer === 1 ? length : length <= this.passTokens ? ran : 0;
      const leaves = layer < exit ? this.#missing(layer + 1, first) + tokens > this.passTokens : this.#isPending(exit);
      runs.push({
        layer,
        before,
        keyValueOnly: length - own,
        tokens: own,
        backFilled: own - tokens,
        statesRead: length - resident,
        statesWritten: leaves ? own : 0,
      });
      this.#done[layer - 1] = this.backFill === 'none' ? before + tokens : last;
      ran = length;
    }
    this.#tokens = last;
    return { first, tokens, exit, runs };
  }

  /** Of the first `tokens` ones, those that lack a layer and will be given it. */
  #missing(layer: number, tokens: number): number {
    return this.backFill === 'none' ? 0 : tokens - this.#done[layer - 1]!;
  }

  /** Whether states that leave after a layer may be needed again. */
  #isPending(exit: number): boolean {
    return exit < this.layers && this.backFill !== 'none';
  }
}

/** The prompt's step, then one for each token. */
export function* stepsOf({ exits, prompt }: Pick<TokenExitsRecord, 'exits' | 'prompt'>): Generator<[number, number]> {
  yield [prompt, exits[0]!];
  for (let token = prompt; token < exits.length; token++) yield [1, exits[token]!];
}
