/** Byte-pair encoding as plainly as it can be said: tokens are strings, and all pairs are counted again after every merge. */
import { BYTE_CHARACTERS } from '../../src/models/byte-pair.js';

/** GPT-2's pattern as published (encoder.py), with white space as Unicode has it. */
const PATTERN =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

const words = (text: string): string[][] =>
  (text.match(PATTERN) ?? []).map((word) => [...Buffer.from(word)].map((byte) => BYTE_CHARACTERS[byte]!));

function merge(word: readonly string[], left: string, right: string): string[] {
  const at = word.findIndex((token, i) => token === left && word[i + 1] === right);
  return at < 0 ? [...word] : [...word.slice(0, at), left + right, ...merge(word.slice(at + 2), left, right)];
}

export function referenceMerges(texts: readonly string[], vocabularySize: number): [string, string][] {
  let all = texts.flatMap(words);
  const vocabulary = [...BYTE_CHARACTERS].sort();
  const merges: [string, string][] = [];
  while (vocabulary.length + 1 < vocabularySize) {
    const pairs = new Map<string, { left: string; right: string; count: number }>();
    for (const word of all) {
      for (let i = 0; i + 1 < word.length; i++) {
        const [left, right] = [word[i]!, word[i + 1]!];
        const pair = pairs.get(`${left} ${right}`) ?? { left, right, count: 0 };
        pairs.set(`${left} ${right}`, { ...pair, count: pair.count + 1 });
      }
    }
    const id = (token: string) => vocabulary.indexOf(token);
    const [best] = [...pairs.values()].sort(
      (a, b) => b.count - a.count || id(a.left) - id(b.left) || id(a.right) - id(b.right),
    );
    if (!best || best.count < 2) break;
    merges.push([best.left, best.right]);
    if (!vocabulary.includes(best.left + best.right)) vocabulary.push(best.left + best.right);
    all = all.map((word) => merge(word, best.left, best.right));
  }
  return merges;
}

/** Always applies the first of the merges that a word still has. */
export function referenceTokens(text: string, merges: readonly (readonly [string, string])[]): string[] {
  const tokens = (word: readonly string[]): readonly string[] => {
    const first = merges.find(([left, right]) => word.some((token, i) => token === left && word[i + 1] === right));
    return first ? tokens(merge(word, ...first)) : word;
  };
  return words(text).flatMap(tokens);
}
