/** Tokenizers in Hugging Face's files: tokenizer.json, or a BERT vocab.txt. */
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Tokenizer as Engine } from '@huggingface/tokenizers';
import { TandemError } from '../errors.js';
import type { Tokenizer } from './types.js';

/** Text characters tried first for each token asked for; English words average fewer. */
const CHARACTERS_PER_TOKEN = 8;

/**
 * Reads a tokenizer.
 * @param path a folder with tokenizer.json or vocab.txt (and tokenizer_config.json), or one of these files
 * @throws TANDEM_FILE_NOT_FOUND, TANDEM_TOKENIZER_INVALID
 */
export async function readHuggingFaceTokenizer(path: string): Promise<Tokenizer> {
  const isFolder = await stat(path)
    .then((found) => found.isDirectory())
    .catch(() => false);
  const folder = isFolder ? path : dirname(path);
  const candidates = isFolder ? ['tokenizer.json', 'vocab.txt'] : [basename(path)];
  for (const name of candidates) {
    const file = join(folder, name);
    const content = await readIfPresent(file);
    if (content === undefined) continue;
    try {
      const settings = JSON.parse((await readIfPresent(join(folder, 'tokenizer_config.json'))) ?? '{}');
      const definition = name.endsWith('.txt') ? wordPiece(content, settings) : JSON.parse(content);
      return new HuggingFaceTokenizer(new Engine(definition, settings));
    } catch (cause) {
      throw new TandemError('TANDEM_TOKENIZER_INVALID', `The tokenizer does not load: ${(cause as Error).message}`, {
        place: file,
        remedy: "Save it again with the transformers library: tokenizer.save_pretrained('folder').",
        cause,
      });
    }
  }
  throw new TandemError('TANDEM_FILE_NOT_FOUND', `There is no tokenizer at ${path}.`, {
    place: path,
    remedy: 'Name a tokenizer.json or vocab.txt, or the folder that holds one.',
  });
}

/** @throws TANDEM_TOKENIZER_INVALID when the tokenizer has ids for which the model has no embedding. */
export function requireTokenizerFits(vocabularySize: number, embeddings: number, place: string): void {
  if (vocabularySize <= embeddings) return;
  throw new TandemError(
    'TANDEM_TOKENIZER_INVALID',
    `The tokenizer has ids up to ${vocabularySize - 1}; the model has embeddings for ${embeddings}.`,
    { place, remedy: 'Use the tokenizer that the model was trained with.' },
  );
}

async function readIfPresent(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cause;
  }
}

/** The tokenizer.json that belongs to a BERT vocabulary, one token a line. */
function wordPiece(content: string, settings: { do_lower_case?: boolean }): object {
  const tokens = content.replace(/\r?\n$/, '').split(/\r?\n/);
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'].filter((token) => token in vocab);
  const missing = ['[UNK]', '[CLS]', '[SEP]'].filter((token) => !(token in vocab));
  if (missing.length > 0) throw new Error(`it has no ${missing.join(', ')}`);
  const mark = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  return {
    version: '1.0',
    added_tokens: special.map((content) => ({
      id: vocab[content],
      content,
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: settings.do_lower_case ?? true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [mark('[CLS]'), { Sequence: { id: 'A', type_id: 0 } }, mark('[SEP]')],
      pair: [],
      special_tokens: Object.fromEntries(['[CLS]', '[SEP]'].map((id) => [id, { id, ids: [vocab[id]], tokens: [id] }])),
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

class HuggingFaceTokenizer implements Tokenizer {
  readonly vocabularySize: number;
  readonly #engine: Engine;
  /** What the tokenizer puts before and after every text. */
  readonly #before: readonly number[];
  readonly #after: readonly number[];

  constructor(engine: Engine) {
    this.#engine = engine;
    let largest = -1;
    for (const id of engine.get_vocab(true).values()) largest = Math.max(largest, id);
    this.vocabularySize = largest + 1;
    const bare: number[] = engine.encode('a', { add_special_tokens: false }).ids;
    const marked: number[] = engine.encode('a').ids;
    const at = marked.findIndex((_, start) => bare.every((id, i) => marked[start + i] === id));
    this.#before = marked.slice(0, at);
    this.#after = marked.slice(at + bare.length);
  }

  /**
   * Reads the text only as far as needed, up to a space, and reads on where that gave too few tokens: the same ids as
   * from the whole text for every tokenizer that splits at spaces.
   */
  encode(text: string, maxTokens: number): number[] {
    const room = Math.max(0, maxTokens - this.#before.length - this.#after.length);
    let ids: number[] = [];
    for (let length = CHARACTERS_PER_TOKEN * room; ids.length < room; length *= 2) {
      const space = length < text.length ? text.indexOf(' ', length) : -1;
      const end = space < 0 ? text.length : space;
      ids = this.#engine.encode(text.slice(0, end), { add_special_tokens: false }).ids;
      if (end === text.length) break;
    }
    return [...this.#before, ...ids.slice(0, room), ...this.#after].slice(0, maxTokens);
  }

  decode(ids: readonly number[]): string {
    return this.#engine.decode([...ids], { skip_special_tokens: true });
  }
}
