import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import type { Tokenizer } from './types.js';

/** What SentencePiece writes for a space; it begins every word and occurs nowhere else in a piece. */
const SPACE = '▁';
const UNKNOWN = 0;

interface TrieNode {
  readonly children: Map<string, TrieNode>;
  /** The piece that ends here, if one does. */
  id: number | undefined;
}
const newNode = (): TrieNode => ({ children: new Map(), id: undefined });

/**
 * SentencePiece unigram model (Kudo, ACL 2018): the segmentation with the largest sum of piece scores, found by
 * dynamic programming. As no piece spans a space, words are segmented one after another and the text is read only as far
 * as the ids asked for reach; the result is a prefix of the ids of the whole text.
 *
 * Ties and unknown characters follow the tokenizer that Universal Sentence Encoder Lite ships with: of equal scores the
 * shorter last piece wins, an unknown character scores 0, and a run of unknown characters becomes one id 0.
 */
export class UnigramTokenizer implements Tokenizer {
  readonly #pieces: readonly string[];
  readonly #scores: readonly number[];
  readonly #root = newNode();

  /**
   * @param vocabulary piece and score of each id
   * @param reserved how many ids at the start are control symbols, which no text produces
   */
  constructor(vocabulary: readonly (readonly [piece: string, score: number])[], reserved: number) {
    this.#pieces = vocabulary.map(([piece]) => piece);
    this.#scores = vocabulary.map(([, score]) => score);
    for (let id = reserved; id < vocabulary.length; id++) this.#insert(this.#pieces[id]!, id);
  }

  get vocabularySize(): number {
    return this.#pieces.length;
  }

  encode(text: string, maxTokens: number): number[] {
    const ids: number[] = [];
    let score = 0;
    for (let start = 0; start < text.length && ids.length < maxTokens; ) {
      const space = text.indexOf(' ', start);
      const end = space < 0 ? text.length : space;
      score = this.#segment(text.slice(start, end), score, ids);
      start = end + 1;
      // A space at the very end is a word of its own: a lone SPACE.
      if (space >= 0 && start === text.length && ids.length < maxTokens) this.#segment('', score, ids);
    }
    return ids.slice(0, maxTokens);
  }

  decode(ids: readonly number[]): string {
    const text = ids.map((id) => this.#pieces[id] ?? '').join('');
    return text.replaceAll(SPACE, ' ').trimStart();
  }

  #insert(piece: string, id: number): void {
    let node = this.#root;
    for (const symbol of piece) {
      let next = node.children.get(symbol);
      if (!next) {
        next = newNode();
        node.children.set(symbol, next);
      }
      node = next;
    }
    node.id = id;
  }

  /** Appends the ids of one word. @param before score of all words before it; @returns the score including this word */
  #segment(word: string, before: number, ids: number[]): number {
    const symbols = Array.from(SPACE + word.normalize('NFKC').replaceAll(' ', SPACE));
    // The best segmentation of the first n symbols: its score, its last piece and where that piece starts.
    const best = new Float64Array(symbols.length + 1);
    const last = new Int32Array(symbols.length + 1);
    const from = new Int32Array(symbols.length + 1);
    best[0] = before;
    const relax = (start: number, end: number, id: number, score: number) => {
      const total = score + best[start]!;
      if (best[end] !== 0 && total < best[end]!) return; // a score of exactly 0 counts as not reached yet
      best[end] = total;
      last[end] = id;
      from[end] = start;
    };
    for (let start = 0; start < symbols.length; start++) {
      let node = this.#root.children.get(symbols[start]!);
      let found = false;
      for (let end = start + 1; node; end++) {
        if (node.id !== undefined) {
          relax(start, end, node.id, this.#scores[node.id]!);
          found = true;
        }
        node = end < symbols.length ? node.children.get(symbols[end]!) : undefined;
      }
      if (!found) relax(start, start + 1, UNKNOWN, 0);
    }
    const pieces: number[] = [];
    for (let end = symbols.length; end > 0; end = from[end]!) pieces.push(last[end]!);
    for (const id of pieces.reverse()) {
      if (id !== UNKNOWN || ids.at(-1) !== UNKNOWN) ids.push(id);
    }
    return best[symbols.length]!;
  }
}

const vocabularySchema = z.array(z.tuple([z.string(), z.number().nullable()])).min(1);

/**
 * Reads a JSON vocabulary of [piece, score].
 * @param reserved how many ids at the start are control symbols
 * @throws TANDEM_TOKENIZER_INVALID
 */
export async function readUnigram(file: string, reserved: number): Promise<UnigramTokenizer> {
  try {
    const vocabulary = vocabularySchema.parse(JSON.parse(await readFile(file, 'utf8')));
    // Universal Sentence Encoder Lite's file has no scores for pieces with a colon; its tokenizer counts them as 0.
    return new UnigramTokenizer(
      vocabulary.map(([piece, score]) => [piece, score ?? 0] as const),
      reserved,
    );
  } catch (cause) {
    throw new TandemError('TANDEM_TOKENIZER_INVALID', `The vocabulary does not read: ${(cause as Error).message}`, {
      place: file,
      remedy: 'It is a JSON array of [piece, score].',
      cause,
    });
  }
}
