import type { DecoderSizes } from './types.js';

/**
 * Keys that attention sees at once, 16 floats being the widest vector: a sum over keys then ends the same way however many
 * of them are masked. Caches are longer by what is missing to a multiple.
 */
export const KEY_BLOCK = 16;

export const wholeBlocks = (keys: number): number => Math.ceil(keys / KEY_BLOCK) * KEY_BLOCK;

/**
 * One text while it is continued: what every layer knows of its tokens. Layer l has run for the first done[l] tokens. No
 * token runs deeper than a token after it has made necessary, so that done[l] never rises with l: the tokens that wait
 * before a layer are those from done[l] to done[l − 1].
 */
export class Sequence {
  /** The prompt, and what was chosen after it; the last one has not run yet. */
  readonly tokens: number[];
  /** Tokens that have begun to run. */
  begun = 0;
  /** By layer: tokens whose keys and values the layer has. */
  readonly done: number[];
  /** [context, hidden]: each token's row behind the layers that it has run. */
  readonly states: Float32Array;
  /** By layer, [context, hidden]; zeros where nothing is known yet. */
  readonly keys: readonly Float32Array[];
  readonly values: readonly Float32Array[];
  /** By layer and token: 1 where the layer was left out for good. */
  readonly absent: readonly Uint8Array[];

  constructor(prompt: readonly number[], { layers, hidden, context }: DecoderSizes) {
    this.tokens = [...prompt];
    const each = <T>(make: () => T) => Array.from({ length: layers }, make);
    const rows = wholeBlocks(context);
    this.done = each(() => 0);
    this.states = new Float32Array(context * hidden);
    this.keys = each(() => new Float32Array(rows * hidden));
    this.values = each(() => new Float32Array(rows * hidden));
    this.absent = each(() => new Uint8Array(context));
  }

  /** Tokens that reached a layer: that have run the one before it. */
  reached(layer: number): number {
    return layer === 0 ? this.begun : this.done[layer - 1]!;
  }

  /** Layers that a token has run. */
  depth(token: number): number {
    const first = this.done.findIndex((done) => done <= token);
    return first < 0 ? this.done.length : first;
  }
}
