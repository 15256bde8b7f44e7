/**
 * Byte-level byte-pair encoding as in GPT-2 (Radford et al., 2019): text is split into words by a pattern, a word into its
 * UTF-8 bytes, and pairs of neighbours merge in the order in which training found them.
 */
import type { TextTokenizer, TokenStream } from './types.js';

/** The parts of a byte-level BPE tokenizer; tokens are written in the characters of `BYTE_CHARACTERS`. */
export interface BytePairVocabulary {
  /** Id of every token that bytes and merges make. */
  readonly ids: ReadonlyMap<string, number>;
  /** Pairs of tokens in the order of their rank, first merged first. */
  readonly merges: readonly (readonly [string, string])[];
  /** Tokens by name that no text makes, `<|endoftext|>` among them. */
  readonly special: ReadonlyMap<string, number>;
  readonly endOfText: string;
}

export const END_OF_TEXT = '<|endoftext|>';

/**
 * GPT-2's printable character for every byte (`bytes_to_unicode` of its encoder.py): the byte's own Latin-1 character
 * where that is visible, and U+0100 upwards for the 68 others in turn.
 */
export const BYTE_CHARACTERS: readonly string[] = byteCharacters();

function byteCharacters(): string[] {
  const visible = (byte: number) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(visible(byte) ? byte : 0x100 + others++));
}

/**
 * GPT-2's words: English contractions, letters, digits, other characters, each with the space before them, and runs of
 * white space. Unicode's White_Space, as in the original and unlike JavaScript's \s, has U+0085 and not U+FEFF.
 */
const WORD =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** The words of a text; put together they are the text. */
export const splitWords = (text: string): string[] => text.match(WORD) ?? [];

const utf8 = new TextEncoder();

/** A pair of ids has the key left · PAIR + right; vocabularies are far smaller than 2²⁶. */
export const PAIR = 2 ** 26;

export class BytePairTokenizer implements TextTokenizer {
  readonly vocabularySize: number;
  readonly endOfText: number;
  readonly #byteIds: Int32Array;
  /** Rank and merged id by pair of ids. */
  readonly #merges = new Map<number, { readonly rank: number; readonly id: number }>();
  /** Bytes by id; undefined for special tokens. */
  readonly #bytes: (Uint8Array | undefined)[] = [];
  /** Ids of words seen before; a text has few different words. */
  readonly #words = new Map<string, readonly number[]>();

  /** @throws Error when the vocabulary lacks a byte, a part or product of a merge, or the end of text, or is not of bytes */
  constructor(readonly vocabulary: BytePairVocabulary) {
    const { ids, merges, special, endOfText } = vocabulary;
    const idOf = (token: string) => {
      const id = ids.get(token);
      if (id === undefined) throw new Error(`the vocabulary has no "${token}"`);
      return id;
    };
    this.#byteIds = Int32Array.from(BYTE_CHARACTERS, idOf);
    merges.forEach(([left, right], rank) => {
      const key = idOf(left) * PAIR + idOf(right);
      if (!this.#merges.has(key)) this.#merges.set(key, { rank, id: idOf(left + right) });
    });
    const byteOf = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));
    for (const [token, id] of ids) {
      this.#bytes[id] = Uint8Array.from(token, (character) => {
        const byte = byteOf.get(character);
        if (byte === undefined) throw new Error(`"${character}" of the token "${token}" stands for no byte`);
        return byte;
      });
    }
    const end = special.get(endOfText);
    if (end === undefined) throw new Error(`it has no end of text "${endOfText}"`);
    this.endOfText = end;
    this.vocabularySize = 1 + Math.max(...[...ids.values(), ...special.values()]);
  }

  encode(text: string): number[] {
    const ids: number[] = [];
    for (const word of splitWords(text)) {
      let known = this.#words.get(word);
      if (!known) {
        known = this.#merge(Array.from(utf8.encode(word), (byte) => this.#byteIds[byte]!));
        this.#words.set(word, known);
      }
      for (const id of known) ids.push(id);
    }
    return ids;
  }

  /** Merges the pair of the lowest rank wherever it occurs, from the left, until no pair has a rank. */
  #merge(ids: number[]): number[] {
    for (let word = ids; ; ) {
      let best: { readonly rank: number; readonly id: number } | undefined;
      let pair = -1;
      for (let i = 0; i + 1 < word.length; i++) {
        const key = word[i]! * PAIR + word[i + 1]!;
        const merge = this.#merges.get(key);
        if (merge && (!best || merge.rank < best.rank)) [best, pair] = [merge, key];
      }
      if (!best) return word;
      word = mergePair(word, Math.floor(pair / PAIR), pair % PAIR, best.id);
    }
  }

  decode(ids: Iterable<number>): string {
    const stream = this.stream();
    return Array.from(ids, (id) => stream.push(id)).join('') + stream.end();
  }

  stream(): TokenStream {
    // ignoreBOM: a byte-order mark is a character of the text like any other.
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    return {
      push: (id) => decoder.decode(this.#bytes[id] ?? new Uint8Array(0), { stream: true }),
      end: () => decoder.decode(),
    };
  }
}

/** The word with every left-right pair replaced, from the left. */
export function mergePair(word: readonly number[], left: number, right: number, merged: number): number[] {
  const shorter: number[] = [];
  for (let i = 0; i < word.length; i++) {
    if (word[i] === left && word[i + 1] === right) {
      shorter.push(merged);
      i++;
    } else shorter.push(word[i]!);
  }
  return shorter;
}

/** The tokens of all documents in turn, each document followed by the end of text. */
export function encodeDocuments(
  tokenizer: TextTokenizer,
  documents: Iterable<{ readonly text: string }>,
): Uint16Array | Uint32Array {
  const parts: number[][] = [];
  for (const { text } of documents) parts.push([...tokenizer.encode(text), tokenizer.endOfText]);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const tokens = tokenizer.vocabularySize <= 2 ** 16 ? new Uint16Array(length) : new Uint32Array(length);
  let at = 0;
  for (const part of parts) {
    tokens.set(part, at);
    at += part.length;
  }
  return tokens;
}
