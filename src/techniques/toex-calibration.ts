/**
 * Thresholds of early exit, chosen on a text's exit profile: the cheapest that keep a budget of quality. Every choice of
 * thresholds can be looked at offline, since exits do not change what later tokens see.
 */
import { probit } from 'simple-statistics';
import { TandemError } from '../errors.js';
import type { ToexOptions } from './toex-options.js';
import type { ExitProfile } from './toex-profile.js';

/** A threshold that no confidence reaches: no check is made. */
export const NO_CHECK = 2;

/** Quality and depth of a choice of exits. */
export interface ExitQuality {
  /** exp of the mean cross entropy; each token counts with the distribution at its exit. */
  readonly perplexity: number;
  /** Share of tokens for which the most probable next token is the full model's. */
  readonly agreement: number;
  /** Layers that a token runs at its own step, on average. */
  readonly meanDecoders: number;
}

export interface Calibration {
  /** For each layer before the last; NO_CHECK where none is made. */
  readonly thresholds: number[];
  readonly quality: ExitQuality;
  /** The best single threshold for all checks, and what it reaches. */
  readonly uniform: { readonly threshold: number; readonly quality: ExitQuality };
  /** All tokens leaving after the same layer, the first that keeps the budget: what looking at confidence must beat. */
  readonly fixed: { readonly layer: number; readonly quality: ExitQuality };
}

/** The profile of checks by the full output embedding, in place of the light one. */
export const withFullChecks = (profile: ExitProfile): ExitProfile => ({
  ...profile,
  confidence: profile.fullConfidence,
  token: profile.fullToken,
});

/**
 * The layer after which each token leaves, 1 … layers.
 * @param thresholds one for each layer before the last
 */
export function exitsAt({ tokens, layers, confidence }: ExitProfile, thresholds: readonly number[]): Uint16Array {
  const exits = new Uint16Array(tokens).fill(layers);
  for (let token = 0; token < tokens; token++) {
    for (let layer = 0; layer < layers - 1; layer++) {
      if (confidence[token * layers + layer]! < thresholds[layer]!) continue;
      exits[token] = layer + 1;
      break;
    }
  }
  return exits;
}

/** A check emits the token that it finds; the last layer always looks at all. */
export function qualityOf(profile: ExitProfile, exits: Uint16Array): ExitQuality {
  const { tokens, layers, likelihood, token: checked, fullToken } = profile;
  let [sum, equal, depth] = [0, 0, 0];
  for (let token = 0; token < tokens; token++) {
    const exit = exits[token]!;
    const at = token * layers + exit - 1;
    const last = token * layers + layers - 1;
    sum += likelihood[at]!;
    depth += exit;
    if ((exit === layers ? fullToken : checked)[at] === fullToken[last]) equal++;
  }
  return { perplexity: Math.exp(-sum / tokens), agreement: equal / tokens, meanDecoders: depth / tokens };
}

export const fullQuality = (profile: ExitProfile): ExitQuality => qualityOf(profile, allAfter(profile, profile.layers));

/** Layers that have a check, counted from 1. @throws TANDEM_CONFIG_INVALID for a layer that the decoder does not have */
export function checkedLayers(checks: ToexOptions['checks'], layers: number): number[] {
  if (checks === 'all') return Array.from({ length: layers - 1 }, (_, layer) => layer + 1);
  const wrong = checks.find((layer) => layer >= layers);
  if (wrong === undefined) return [...new Set(checks)].sort((a, b) => a - b);
  throw new TandemError('TANDEM_CONFIG_INVALID', `There is no exit check after layer ${wrong} of ${layers}.`, {
    place: 'technique.checks',
    remedy: `Name layers from 1 to ${layers - 1}; after the last one every token leaves.`,
  });
}

export interface CalibrationRequest {
  readonly checks: ToexOptions['checks'];
  readonly budget: ToexOptions['budget'];
  /** What a check costs, in decoder layers. */
  readonly checkCost: number;
  /** Tokens of a block: losses within one hang together, those of different blocks do not. */
  readonly blockTokens: number;
}

/** Thresholds tried for all layers alike, between 0 and 1. */
const UNIFORM_STEPS = 200;
/** In layers for a unit of loss: from nearly free to more than any token can lose. */
const PRICES = Array.from({ length: 28 }, (_, step) => 10 ** (-1 + step / 5));
const SWEEPS = 4;
const ATTEMPTS = 6;

/**
 * Thresholds for each layer by Lagrange: for a price of quality, each layer's threshold in turn is the best for those of
 * the others, and the price is the lowest that keeps the budget. Never dearer than the best single threshold.
 */
export function calibrate(profile: ExitProfile, request: CalibrationRequest): Calibration {
  const search = new Search(profile, request);
  const uniform = search.uniform();
  const best = search.perLayer(uniform.thresholds);
  const quality = ({ thresholds }: Candidate) => qualityOf(profile, exitsAt(profile, thresholds));
  const single = uniform.thresholds.find((threshold) => threshold !== NO_CHECK) ?? NO_CHECK;
  return {
    thresholds: best.thresholds,
    quality: quality(best),
    uniform: { threshold: single, quality: quality(uniform) },
    fixed: search.fixed(),
  };
}

const allAfter = ({ tokens }: ExitProfile, layer: number): Uint16Array => new Uint16Array(tokens).fill(layer);

interface Candidate {
  readonly thresholds: number[];
  readonly cost: number;
}

class Search {
  readonly #layers: number;
  readonly #checks: readonly number[];
  /** What leaving after each layer loses against the whole model, [tokens, layers]. */
  readonly #loss: Float32Array;
  readonly #budget: number;
  readonly #deviations: number;
  /** Tokens by falling confidence, by layer from 0; empty where no check is allowed. */
  readonly #order: readonly Uint32Array[];

  constructor(
    readonly profile: ExitProfile,
    readonly request: CalibrationRequest,
  ) {
    const { layers, tokens, confidence } = profile;
    const { measure, loss, confidence: sureness } = request.budget;
    this.#layers = layers;
    this.#checks = checkedLayers(request.checks, layers);
    this.#loss = measure === 'perplexity' ? lostLikelihood(profile) : lostAgreement(profile);
    this.#budget = measure === 'perplexity' ? Math.log1p(loss) : loss;
    this.#deviations = probit(sureness);
    this.#order = Array.from({ length: layers - 1 }, (_, layer) => {
      if (!this.#checks.includes(layer + 1)) return new Uint32Array(0);
      const all = Uint32Array.from({ length: tokens }, (_, token) => token);
      return all.sort((a, b) => confidence[b * layers + layer]! - confidence[a * layers + layer]! || a - b);
    });
  }

  /** The cheapest threshold for all checks that keeps the budget; without checks where none does. */
  uniform(): Candidate {
    const all = Array.from({ length: UNIFORM_STEPS + 1 }, (_, step) => this.#alike(step / UNIFORM_STEPS));
    return this.#cheapest([...all.map((thresholds) => this.#candidate(thresholds)), this.#unchecked()]);
  }

  fixed(): Calibration['fixed'] {
    const { profile } = this;
    let layer = 1;
    while (layer < this.#layers && !this.#keptBy(allAfter(profile, layer))) layer++;
    return { layer, quality: qualityOf(profile, allAfter(profile, layer)) };
  }

  /**
   * Price by price, up and down again, each from what the one before came to: a price has several optima, and which one
   * is found depends on where the search stands.
   */
  perLayer(start: readonly number[]): Candidate {
    let best = this.#cheapest([this.#candidate([...start]), this.#unchecked()]);
    for (const prices of [PRICES, PRICES.toReversed()]) {
      let thresholds = [...start];
      for (const price of prices) {
        thresholds = this.#descend(thresholds, price);
        if (!this.#keeps(thresholds)) continue;
        const found = this.#candidate(this.#spend(thresholds));
        if (found.cost < best.cost) best = found;
      }
    }
    return best;
  }

  #alike(threshold: number): number[] {
    return this.#order.map((order) => (order.length > 0 ? threshold : NO_CHECK));
  }

  #unchecked(): Candidate {
    return this.#candidate(this.#order.map(() => NO_CHECK));
  }

  #candidate(thresholds: number[]): Candidate {
    return { thresholds, cost: this.#cost(exitsAt(this.profile, thresholds), thresholds) };
  }

  #cheapest(candidates: readonly Candidate[]): Candidate {
    const kept = candidates.filter(({ thresholds }) => this.#keeps(thresholds));
    return kept.reduce((best, one) => (one.cost < best.cost ? one : best));
  }

  /** Mean layers of a token, its checks included. */
  #cost(exits: Uint16Array, thresholds: readonly number[]): number {
    const costs = this.#costs(thresholds);
    return exits.reduce((sum, exit) => sum + costs[exit - 1]!, 0) / exits.length;
  }

  /** Of leaving after each layer. */
  #costs(thresholds: readonly number[]): number[] {
    let checks = 0;
    return Array.from({ length: this.#layers }, (_, layer) => {
      if (layer < this.#layers - 1 && thresholds[layer] !== NO_CHECK) checks++;
      return layer + 1 + checks * this.request.checkCost;
    });
  }

  /** Whether the mean loss, with what chance may add to it, is within the budget. */
  #keeps(thresholds: readonly number[]): boolean {
    return this.#keptBy(exitsAt(this.profile, thresholds));
  }

  #keptBy(exits: Uint16Array): boolean {
    const { mean, error } = this.#lossOf(exits);
    return mean + this.#deviations * error <= this.#budget;
  }

  /** Mean loss of a token and its standard error. */
  #lossOf(exits: Uint16Array): { mean: number; error: number } {
    const { blockTokens } = this.request;
    const blocks: { tokens: number; loss: number }[] = [];
    for (let start = 0; start < exits.length; start += blockTokens) {
      const end = Math.min(exits.length, start + blockTokens);
      let loss = 0;
      for (let token = start; token < end; token++) loss += this.#loss[token * this.#layers + exits[token]! - 1]!;
      blocks.push({ tokens: end - start, loss });
    }
    const mean = blocks.reduce((sum, { loss }) => sum + loss, 0) / exits.length;
    // Of a ratio of sums over blocks (Cochran, Sampling Techniques, 1977, 6.4).
    const squares = blocks.reduce((sum, { loss, tokens }) => sum + (loss - tokens * mean) ** 2, 0);
    const { length } = blocks;
    return { mean, error: length > 1 ? Math.sqrt((squares * length) / (length - 1)) / exits.length : 0 };
  }

  /** Lets more tokens leave, layer by layer, as long as the budget lasts: prices leave some of it over. */
  #spend(start: readonly number[]): number[] {
    let thresholds = [...start];
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      const before = thresholds.join();
      for (let layer = 0; layer < this.#layers - 1; layer++) {
        if (this.#order[layer]!.length === 0) continue;
        thresholds = this.#lowered(thresholds, layer);
      }
      if (thresholds.join() === before) break;
    }
    return thresholds;
  }

  /** One layer's threshold as low as the budget allows; as it was where that saves nothing. */
  #lowered(thresholds: number[], layer: number): number[] {
    const { cost } = this.#candidate(thresholds);
    let { error } = this.#lossOf(exitsAt(this.profile, thresholds));
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const limit = (this.#budget - this.#deviations * error) * this.profile.tokens;
      const tried = thresholds.with(layer, this.#bestThreshold(thresholds, layer, { limit }));
      if (this.#candidate(tried).cost >= cost) break;
      if (this.#keeps(tried)) return tried;
      // Chance grows with the tokens that leave: less room than it looked.
      error = Math.max(this.#lossOf(exitsAt(this.profile, tried)).error, 1.1 * error);
    }
    return thresholds;
  }

  #descend(start: readonly number[], price: number): number[] {
    const thresholds = [...start];
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      const before = thresholds.join();
      for (let layer = this.#layers - 2; layer >= 0; layer--) {
        if (this.#order[layer]!.length > 0) thresholds[layer] = this.#bestThreshold(thresholds, layer, { price });
      }
      if (thresholds.join() === before) break;
    }
    return thresholds;
  }

  /**
   * The best threshold of one layer with those of the others as they are: by layers and losses at a price, or by layers
   * alone as long as all tokens' losses stay below a limit.
   */
  #bestThreshold(thresholds: readonly number[], layer: number, { price = 0, limit = Infinity }): number {
    const layers = this.#layers;
    const { confidence } = this.profile;
    const { checkCost } = this.request;
    const without = thresholds.with(layer, NO_CHECK);
    const elsewhere = exitsAt(this.profile, without);
    const [unchecked, checked] = [this.#costs(without), this.#costs(without.with(layer, 0))];
    let [reached, lost] = [0, 0];
    for (const [token, exit] of elsewhere.entries()) {
      if (exit > layer) reached++;
      lost += this.#loss[token * layers + exit - 1]!;
    }
    // Leaving here saves layers and costs quality; the check itself is paid by all who come this far.
    let total = reached * checkCost;
    let [best, threshold] = [0, NO_CHECK];
    const order = this.#order[layer]!;
    for (let at = 0; at < order.length; at++) {
      const token = order[at]!;
      const later = elsewhere[token]!;
      if (later > layer) {
        const more = this.#loss[token * layers + layer]! - this.#loss[token * layers + later - 1]!;
        lost += more;
        total += checked[layer]! - checkCost - unchecked[later - 1]! + price * more;
      }
      const here = confidence[token * layers + layer]!;
      const next = at + 1 < order.length ? confidence[order[at + 1]! * layers + layer]! : -1;
      // Tokens of equal confidence leave together.
      if (next < here && total < best && lost <= limit) [best, threshold] = [total, here];
    }
    return threshold;
  }
}

function lostLikelihood({ tokens, layers, likelihood }: ExitProfile): Float32Array {
  return lost(tokens, layers, (at, last) => likelihood[last]! - likelihood[at]!);
}

function lostAgreement({ tokens, layers, token, fullToken }: ExitProfile): Float32Array {
  return lost(tokens, layers, (at, last) => (at === last ? 0 : Number(token[at] !== fullToken[last])));
}

function lost(tokens: number, layers: number, loss: (at: number, last: number) => number): Float32Array {
  const losses = new Float32Array(tokens * layers);
  for (let token = 0; token < tokens; token++) {
    const last = token * layers + layers - 1;
    for (let layer = 0; layer < layers; layer++) losses[token * layers + layer] = loss(token * layers + layer, last);
  }
  return losses;
}
