/** Byte-level BPE tokenizers in Hugging Face's files: tokenizer.json, or GPT-2's vocab.json and merges.txt. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { BytePairTokenizer, type BytePairVocabulary, END_OF_TEXT } from './byte-pair.js';

/** The content of a tokenizer.json that Hugging Face's libraries read. */
export function tokenizerJson({ vocabulary }: BytePairTokenizer): object {
  const { ids, merges, special } = vocabulary;
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [...special].map(([content, id]) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries([...ids, ...special]),
      merges: merges.map((pair) => [...pair]),
    },
  };
}

/**
 * Reads a tokenizer from a folder with tokenizer.json, or with vocab.json and merges.txt. The end of text is the
 * `eos_token` of tokenizer_config.json, or `<|endoftext|>`.
 * @throws TANDEM_FILE_NOT_FOUND, TANDEM_TOKENIZER_INVALID for a damaged file or another kind of tokenizer
 */
export async function readBytePairTokenizer(folder: string): Promise<BytePairTokenizer> {
  const json = join(folder, 'tokenizer.json');
  const whole = await readIfPresent(json);
  const endOfText = await endOfTextIn(join(folder, 'tokenizer_config.json'));
  if (whole !== undefined) return attempt(json, () => new BytePairTokenizer(fromTokenizerJson(whole, endOfText)));
  const [vocab, merges] = [join(folder, 'vocab.json'), join(folder, 'merges.txt')];
  const [ids, pairs] = [await readIfPresent(vocab), await readIfPresent(merges)];
  if (ids !== undefined && pairs !== undefined) {
    return attempt(vocab, () => new BytePairTokenizer(fromVocabulary(ids, pairs, endOfText)));
  }
  throw new TandemError('TANDEM_FILE_NOT_FOUND', `There is no tokenizer in ${folder}.`, {
    place: folder,
    remedy: 'Name a folder that holds tokenizer.json, or vocab.json and merges.txt.',
  });
}

async function readIfPresent(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((cause) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return undefined;
    throw cause;
  });
}

function attempt<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message;
    throw new TandemError('TANDEM_TOKENIZER_INVALID', `The tokenizer does not load: ${why}.`, {
      place,
      remedy: "Use the files of a byte-level BPE tokenizer such as GPT-2's, as save_pretrained('folder') writes them.",
      cause,
    });
  }
}

const nameSchema = z.union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)]);
const configSchema = z.object({ eos_token: nameSchema.nullish() });

async function endOfTextIn(file: string): Promise<string> {
  const config = await readIfPresent(file);
  return config === undefined
    ? END_OF_TEXT
    : attempt(file, () => configSchema.parse(JSON.parse(config)).eos_token ?? END_OF_TEXT);
}

const idsSchema = z.record(z.string(), z.int().min(0));
/** "left right", or [left, right] since tokenizers 0.20. */
const mergeSchema = z.union([z.string().transform((line) => splitMerge(line)), z.tuple([z.string(), z.string()])]);
const byteLevel = z.object({
  type: z.literal('ByteLevel'),
  add_prefix_space: z.literal(false),
  use_regex: z.literal(true).optional(),
});
const tokenizerSchema = z.object({
  added_tokens: z
    .array(z.object({ id: z.int().min(0), content: z.string(), special: z.literal(true).optional() }))
    .default([]),
  normalizer: z.null().optional(),
  pre_tokenizer: byteLevel,
  model: z.object({
    type: z.literal('BPE').optional(),
    vocab: idsSchema,
    merges: z.array(mergeSchema),
    ignore_merges: z.literal(false).optional(),
  }),
});

function splitMerge(line: string): [string, string] {
  const [left, right, ...more] = line.split(' ');
  if (!left || !right || more.length > 0) throw new Error(`"${line}" is not a pair of tokens`);
  return [left, right];
}

function fromTokenizerJson(content: string, endOfText: string): BytePairVocabulary {
  const { added_tokens, model } = tokenizerSchema.parse(JSON.parse(content));
  const added = added_tokens.map(({ id, content }) => [content, id] as const);
  return assembleVocabulary(model.vocab, added, model.merges, endOfText);
}

/** GPT-2's own files: ids by token, and a line "left right" for every merge after a line with the version. */
function fromVocabulary(ids: string, pairs: string, endOfText: string): BytePairVocabulary {
  const lines = pairs.replace(/^#version.*/, '').split(/\r?\n/);
  const merges = lines.filter((line) => line !== '').map(splitMerge);
  return assembleVocabulary(idsSchema.parse(JSON.parse(ids)), [], merges, endOfText);
}

/** Special tokens are those added to the vocabulary, and the end of text, which may stand in it. */
function assembleVocabulary(
  vocabulary: Readonly<Record<string, number>>,
  added: readonly (readonly [string, number])[],
  merges: BytePairVocabulary['merges'],
  endOfText: string,
): BytePairVocabulary {
  const special = new Map(added);
  const end = vocabulary[endOfText];
  if (end !== undefined) special.set(endOfText, end);
  return {
    ids: new Map(Object.entries(vocabulary).filter(([token]) => !special.has(token))),
    merges,
    special,
    endOfText,
  };
}
