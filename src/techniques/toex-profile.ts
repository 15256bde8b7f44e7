/**
 * What every exit of a decoder would say of each token, from one pass of the whole model. With lazy back-fill a token sees
 * the keys and values of a run without exits at every layer, so that on a given text ToEx's logits are the full model's,
 * taken at each token's exit: the profile holds all that thresholds can choose from.
 */
import { GraphBuilder } from '../graph/builder.js';
import { withOutputs } from '../graph/edit.js';
import { type Graph, int } from '../graph/types.js';
import type { Fetched } from '../runtime/types.js';
import { decoderExits, ExitBuilder } from './toex-exits.js';
import type { ToexOptions } from './toex-options.js';

/** Each array row-major [tokens, layers]. */
export interface ExitProfile {
  readonly layers: number;
  readonly tokens: number;
  /** By the light output embedding, 0 … 1. */
  readonly confidence: Float32Array;
  /** By all logits. */
  readonly fullConfidence: Float32Array;
  /** log probability of the token that follows, by all logits. */
  readonly likelihood: Float32Array;
  /** The most probable token among the candidates, and among all. */
  readonly token: Int32Array;
  readonly fullToken: Int32Array;
}

type ProfileArray = Exclude<keyof ExitProfile, 'layers' | 'tokens'>;
const ARRAYS: readonly ProfileArray[] = ['confidence', 'fullConfidence', 'likelihood', 'token', 'fullToken'];

export interface ProfileRewrite {
  /** Has the further input `targets`, int64 [batch, tokens]. */
  readonly graph: Graph;
  readonly layers: number;
  /** Profile of a batch without padding. */
  profile(fetched: Fetched): ExitProfile;
}

/** @throws TANDEM_MODEL_UNSUPPORTED, TANDEM_CONFIG_INVALID */
export function exitProfile(graph: Graph, options: Pick<ToexOptions, 'candidates' | 'confidence'>): ProfileRewrite {
  const exits = decoderExits(graph);
  const b = new GraphBuilder(graph.name, graph);
  const targets = b.op('Unsqueeze', [b.input('targets', 'int64', ['batch', 'tokens']), b.ints([-1])]);
  const builder = new ExitBuilder(b, exits, options);
  const columns: Record<ProfileArray, string[]> = {
    confidence: [],
    fullConfidence: [],
    likelihood: [],
    token: [],
    fullToken: [],
  };
  for (const layer of exits.hidden.keys()) {
    const light = builder.light(layer);
    const full = builder.full(layer);
    const logarithms = b.op('LogSoftmax', [builder.logits(layer)], { axis: int(-1) });
    const picked = b.op('GatherElements', [logarithms, targets], { axis: int(-1) });
    columns.confidence.push(light.confidence);
    columns.fullConfidence.push(full.confidence);
    columns.likelihood.push(b.op('Squeeze', [picked, b.ints([-1])]));
    columns.token.push(light.token);
    columns.fullToken.push(full.token);
  }
  const outputs = ARRAYS.map((name) => {
    const wide = columns[name].map((value) => b.op('Unsqueeze', [value, b.ints([-1])]));
    return b.op('Concat', wide, { axis: int(-1) }, `toex.${name}`);
  });
  const layers = exits.hidden.length;
  return {
    graph: withOutputs(b.finish(), outputs),
    layers,
    profile: (fetched) => {
      const data = (name: ProfileArray) => fetched[`toex.${name}`]!.data;
      const ids = (name: ProfileArray) => Int32Array.from(data(name) as BigInt64Array, Number);
      const confidence = data('confidence') as Float32Array;
      return {
        layers,
        tokens: confidence.length / layers,
        confidence,
        fullConfidence: data('fullConfidence') as Float32Array,
        likelihood: data('likelihood') as Float32Array,
        token: ids('token'),
        fullToken: ids('fullToken'),
      };
    },
  };
}

/** Profiles of consecutive pieces of a text as one. */
export function joinProfiles(parts: readonly ExitProfile[]): ExitProfile {
  const joined = <A extends Float32Array | Int32Array>(make: (size: number) => A, name: ProfileArray): A => {
    const whole = make(parts.reduce((sum, part) => sum + part[name].length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part[name], at);
      at += part[name].length;
    }
    return whole;
  };
  const floats = (name: ProfileArray) => joined((size) => new Float32Array(size), name);
  const ids = (name: ProfileArray) => joined((size) => new Int32Array(size), name);
  return {
    layers: parts[0]!.layers,
    tokens: parts.reduce((sum, { tokens }) => sum + tokens, 0),
    confidence: floats('confidence'),
    fullConfidence: floats('fullConfidence'),
    likelihood: floats('likelihood'),
    token: ids('token'),
    fullToken: ids('fullToken'),
  };
}
