/** GPT-2 decoders by options: shipped with Tandem, from a Hugging Face folder, or fresh in any size. */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { readBytePairTokenizer } from './byte-pair-files.js';
import { trainBytePairs } from './byte-pair-training.js';
import type { DecoderFamily, DecoderLoadContext, DecoderModel } from './decoder-types.js';
import { buildGpt2, freshGpt2Weights, type Gpt2Config } from './gpt2.js';
import { readGpt2Folder } from './gpt2-folder.js';
import { requireTokenizerFits } from './hugging-face-tokenizer.js';

/** Decoders that come with Tandem, by name: folders of `checkpoints/`. */
export const PRETRAINED = ['gpt-12x128'] as const;

const count = z.int().positive();

const sizeSchema = z
  .strictObject({
    layers: count.max(1000).describe('decoder layers'),
    hidden: count.describe('width of the residual stream'),
    heads: count.describe('attention heads of a layer'),
    vocabulary: z.int().min(257).default(2048).describe('tokens: 256 bytes, merged pairs, and the end of a text'),
    context: z.int().min(2).default(256).describe('most tokens of a text, and positions that are learned'),
  })
  .refine(({ hidden, heads }) => hidden % heads === 0, {
    error: 'must divide hidden',
    path: ['heads'],
  });

export const gpt2Options = z
  .strictObject({
    pretrained: z.enum(PRETRAINED).optional().describe('a decoder that comes with Tandem'),
    folder: z
      .string()
      .min(1)
      .optional()
      .describe('Hugging Face folder: config.json, model.safetensors, tokenizer.json (or vocab.json and merges.txt)'),
    size: sizeSchema.optional().describe('a fresh decoder, to be trained; its tokenizer learns from the same text'),
  })
  .refine(
    ({ pretrained, folder, size }) => [pretrained, folder, size].filter((given) => given !== undefined).length === 1,
    {
      error: 'must have one of pretrained, folder and size',
    },
  );
export type Gpt2Options = z.infer<typeof gpt2Options>;

export const gpt2: DecoderFamily<Gpt2Options> = {
  name: 'gpt2',
  description: 'GPT-2 decoders: one that comes with Tandem, a Hugging Face folder, or fresh in any size.',
  schema: gpt2Options,
  async load({ pretrained, folder, size }, context) {
    if (size) return freshDecoder(size, context);
    return pretrained
      ? loadedDecoder(pretrainedFolder(pretrained), `Tandem, ${pretrained}`, 'Apache-2.0')
      : loadedDecoder(resolve(context.baseFolder, folder!), folder!, 'that of the checkpoint');
  },
};

/** @throws TANDEM_UNKNOWN_NAME, TANDEM_FILE_NOT_FOUND */
export function pretrainedFolder(name: string): string {
  const known: readonly string[] = PRETRAINED;
  if (!known.includes(name)) {
    throw new TandemError('TANDEM_UNKNOWN_NAME', `No decoder "${name}" comes with Tandem.`, {
      remedy: `Use one of: ${known.join(', ')}.`,
    });
  }
  const folder = join(packageRoot(), 'checkpoints', name);
  if (existsSync(folder)) return folder;
  throw new TandemError('TANDEM_FILE_NOT_FOUND', `The decoder "${name}" is not where Tandem was installed.`, {
    place: folder,
    remedy: 'Install Tandem again.',
  });
}

/** The nearest folder above this file that has a package.json: the same from src/ and dist/. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

async function loadedDecoder(folder: string, source: string, licence: string): Promise<DecoderModel> {
  const { config, weights, sha256 } = await readGpt2Folder(folder);
  const tokenizer = await readBytePairTokenizer(folder);
  requireTokenizerFits(tokenizer.vocabularySize, config.vocabulary, folder);
  const decoder = buildGpt2(config, weights);
  return { name: 'gpt2', ...decoder, config, tokenizer, fresh: false, provenance: { source, licence, sha256 } };
}

async function freshDecoder(
  { layers, hidden, heads, context, vocabulary }: z.infer<typeof sizeSchema>,
  { seed, documents }: DecoderLoadContext,
): Promise<DecoderModel> {
  const tokenizer = trainBytePairs(await documents(), vocabulary);
  const config: Gpt2Config = {
    layers,
    hidden,
    heads,
    intermediate: 4 * hidden,
    vocabulary: tokenizer.vocabularySize,
    context,
    epsilon: 1e-5,
    activation: 'gelu',
  };
  const decoder = buildGpt2(config, freshGpt2Weights(seed, layers));
  const source = `random weights, seed ${seed}`;
  return {
    name: 'gpt2',
    ...decoder,
    config,
    tokenizer,
    fresh: true,
    provenance: { source, licence: 'none', sha256: '' },
  };
}
