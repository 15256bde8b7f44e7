/** Trains a byte-level BPE tokenizer: Sennrich et al., ACL 2016, on bytes as GPT-2 does. */
import { TandemError } from '../errors.js';
import { BYTE_CHARACTERS, BytePairTokenizer, END_OF_TEXT, mergePair, PAIR, splitWords } from './byte-pair.js';

/** Merging a pair that occurs once shortens nothing but the text it was seen in. */
const LEAST_COUNT = 2;
/** The bytes and the end of text. */
const SMALLEST = 256 + 1;

/** A different word of the text: its tokens so far, and how often it occurs. */
interface Word {
  tokens: number[];
  readonly count: number;
}

/** How often a pair occurs now, and the words that have, or had, it. */
interface PairUse {
  count: number;
  readonly words: Set<Word>;
}

/**
 * Ids are GPT-2's: the 256 bytes in the order of their characters, the merges in the order found, the end of text. Always
 * the most frequent pair merges; of equally frequent ones that with the smallest left id, then the smallest right id.
 * @param vocabularySize at least 257; the result is smaller where no pair is left that occurs twice
 * @throws TANDEM_CONFIG_INVALID for a smaller size
 */
export function trainBytePairs(
  documents: Iterable<{ readonly text: string }>,
  vocabularySize: number,
): BytePairTokenizer {
  requireRoom(vocabularySize);
  const tokens = [...BYTE_CHARACTERS].sort();
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const merges: [string, string][] = [];
  const pairs = new PairCounts(countWords(documents, ids));
  while (tokens.length + 1 < vocabularySize) {
    const best = pairs.mostFrequent();
    if (!best) break;
    const [left, right] = best;
    const token = tokens[left]! + tokens[right]!;
    merges.push([tokens[left]!, tokens[right]!]);
    // Two merges may make the same token: "ab" + "c" and "a" + "bc".
    let merged = ids.get(token);
    if (merged === undefined) {
      merged = tokens.push(token) - 1;
      ids.set(token, merged);
    }
    pairs.merge(left, right, merged);
  }
  const special = new Map([[END_OF_TEXT, tokens.length]]);
  return new BytePairTokenizer({ ids, merges, special, endOfText: END_OF_TEXT });
}

function requireRoom(vocabularySize: number): void {
  if (Number.isInteger(vocabularySize) && vocabularySize >= SMALLEST) return;
  throw new TandemError('TANDEM_CONFIG_INVALID', `A vocabulary of ${vocabularySize} does not hold all bytes.`, {
    place: 'vocabulary size of the tokenizer',
    remedy: `Ask for a whole number of at least ${SMALLEST}: the 256 bytes and the end of text.`,
  });
}

function countWords(documents: Iterable<{ readonly text: string }>, ids: ReadonlyMap<string, number>): Word[] {
  const counts = new Map<string, number>();
  for (const { text } of documents) {
    for (const word of splitWords(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const byteIds = BYTE_CHARACTERS.map((character) => ids.get(character)!);
  const utf8 = new TextEncoder();
  return [...counts].map(([word, count]) => ({
    tokens: Array.from(utf8.encode(word), (byte) => byteIds[byte]!),
    count,
  }));
}

/** Counts of neighbouring tokens over all words, kept up to date while pairs merge. */
class PairCounts {
  readonly #uses = new Map<number, PairUse>();
  /** Counts as they were when they last rose, largest first: never below the present ones. */
  readonly #queue = new PairQueue();

  constructor(words: readonly Word[]) {
    for (const word of words) this.#add(word);
    for (const [pair, { count }] of this.#uses) this.#queue.push({ pair, count });
  }

  mostFrequent(): [left: number, right: number] | undefined {
    for (let top = this.#queue.pop(); top; top = this.#queue.pop()) {
      const { count } = this.#uses.get(top.pair)!;
      if (count < LEAST_COUNT) continue;
      if (count === top.count) return [Math.floor(top.pair / PAIR), top.pair % PAIR];
      this.#queue.push({ pair: top.pair, count });
    }
    return undefined;
  }

  merge(left: number, right: number, merged: number): void {
    const risen = new Set<number>();
    for (const word of this.#uses.get(left * PAIR + right)!.words) {
      const tokens = mergePair(word.tokens, left, right, merged);
      if (tokens.length === word.tokens.length) continue;
      this.#remove(word);
      word.tokens = tokens;
      this.#add(word, risen);
    }
    for (const pair of risen) this.#queue.push({ pair, count: this.#uses.get(pair)!.count });
  }

  #remove({ tokens, count }: Word): void {
    for (let i = 0; i + 1 < tokens.length; i++) this.#uses.get(tokens[i]! * PAIR + tokens[i + 1]!)!.count -= count;
  }

  #add(word: Word, touched?: Set<number>): void {
    const { tokens, count } = word;
    for (let i = 0; i + 1 < tokens.length; i++) {
      const pair = tokens[i]! * PAIR + tokens[i + 1]!;
      let use = this.#uses.get(pair);
      if (!use) {
        use = { count: 0, words: new Set() };
        this.#uses.set(pair, use);
      }
      use.count += count;
      use.words.add(word);
      touched?.add(pair);
    }
  }
}

interface Counted {
  readonly pair: number;
  readonly count: number;
}

const comesFirst = (a: Counted, b: Counted): boolean => a.count > b.count || (a.count === b.count && a.pair < b.pair);

/** A binary heap of pairs: the most frequent on top, of equals the smallest pair. */
class PairQueue {
  readonly #heap: Counted[] = [];

  push(entry: Counted): void {
    let at = this.#heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!comesFirst(entry, this.#heap[parent]!)) break;
      this.#heap[at] = this.#heap[parent]!;
      at = parent;
    }
    this.#heap[at] = entry;
  }

  pop(): Counted | undefined {
    const top = this.#heap[0];
    const last = this.#heap.pop();
    if (!last || this.#heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#heap.length) break;
      if (child + 1 < this.#heap.length && comesFirst(this.#heap[child + 1]!, this.#heap[child]!)) child++;
      if (!comesFirst(this.#heap[child]!, last)) break;
      this.#heap[at] = this.#heap[child]!;
      at = child;
    }
    this.#heap[at] = last;
    return top;
  }
}
