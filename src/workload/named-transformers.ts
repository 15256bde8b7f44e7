/** Well-known transformers by name. Runs in a browser. */
import { TandemError } from '../errors.js';
import { nearest } from '../settings/schema-walk.js';
import type { TransformerArchitecture } from './transformer.js';

export interface EncoderSizes {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly intermediate: number;
}

/** Width per head and of the feed-forward layer that all published sizes share. */
const sized = (layers: number, hidden: number): EncoderSizes => ({
  layers,
  hidden,
  heads: hidden / 64,
  intermediate: 4 * hidden,
});

/** Tiny to medium: Turc et al., 2019; base and large: Devlin et al., NAACL 2019. */
export const BERT_SIZES = {
  tiny: sized(2, 128),
  mini: sized(4, 256),
  small: sized(4, 512),
  medium: sized(8, 512),
  base: sized(12, 768),
  large: sized(24, 1024),
} as const satisfies Record<string, EncoderSizes>;

/** The smallest one is the test model of the AccelTran simulator (Tuli & Jha, 2023). */
const NANO: EncoderSizes = { layers: 1, hidden: 32, heads: 2, intermediate: 64 };

const NAMED: Readonly<Record<string, EncoderSizes>> = {
  nano: NANO,
  ...Object.fromEntries(Object.entries(BERT_SIZES).map(([size, sizes]) => [`bert-${size}`, sizes])),
};

/** Decoders: Radford et al., 2019. */
const GPT2_SIZES: Readonly<Record<string, EncoderSizes>> = {
  gpt2: sized(12, 768),
  'gpt2-medium': sized(24, 1024),
  'gpt2-large': sized(36, 1280),
  'gpt2-xl': sized(48, 1600),
};

/** Encoders that `namedArchitecture` knows, from the smallest to the largest. */
export const ARCHITECTURE_NAMES: readonly string[] = Object.keys(NAMED);

/** Encoders and decoders that `namedTransformer` knows. */
export const TRANSFORMER_NAMES: readonly string[] = [...ARCHITECTURE_NAMES, ...Object.keys(GPT2_SIZES)];

/** BERT's English word pieces. */
export const VOCABULARY = 30522;
/** GPT-2's byte pairs. */
const GPT2_VOCABULARY = 50257;
/** Tokens of a sequence that the AccelTran and ELECTOR simulators assume. */
export const TOKENS = 128;

/** An encoder of equal layers with scaled dot-product attention and one feed-forward stack. */
export function uniformArchitecture(
  { layers, hidden, heads, intermediate }: EncoderSizes,
  { name, vocabulary, tokens }: Omit<TransformerArchitecture, 'layers'>,
): TransformerArchitecture {
  const head = { kind: 'sdp', dim: Math.floor(hidden / heads) } as const;
  const layer = { hidden, heads: Array.from({ length: heads }, () => head), feedForward: [intermediate] };
  return { name, layers: Array.from({ length: layers }, () => layer), vocabulary, tokens };
}

/** An encoder or a decoder. @throws TANDEM_UNKNOWN_NAME with the nearest name */
export function namedTransformer(name: string, place?: string): TransformerArchitecture {
  if (!TRANSFORMER_NAMES.includes(name)) throw unknown(name, TRANSFORMER_NAMES, place);
  const decoder = Object.hasOwn(GPT2_SIZES, name) ? GPT2_SIZES[name] : undefined;
  if (decoder === undefined) return namedArchitecture(name, place);
  return uniformArchitecture(decoder, { name, vocabulary: GPT2_VOCABULARY, tokens: TOKENS });
}

/**
 * @param place where the name was given, for errors
 * @throws TANDEM_UNKNOWN_NAME with the nearest name
 */
export function namedArchitecture(name: string, place?: string): TransformerArchitecture {
  const sizes = Object.hasOwn(NAMED, name) ? NAMED[name] : undefined;
  if (sizes) return uniformArchitecture(sizes, { name, vocabulary: VOCABULARY, tokens: TOKENS });
  throw unknown(name, ARCHITECTURE_NAMES, place);
}

function unknown(name: string, known: readonly string[], place: string | undefined): TandemError {
  const guess = nearest(name, known);
  const hint = guess ? ` Did you mean "${guess}"?` : '';
  return new TandemError('TANDEM_UNKNOWN_NAME', `There is no transformer "${name}".${hint}`, {
    ...(place === undefined ? {} : { place }),
    remedy: `Use one of: ${known.join(', ')}.`,
  });
}
