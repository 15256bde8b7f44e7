/** From examples as read to a clean, reproducible split: cleaning, de-duplication, stratified splitting, prefixes, hashes. */
import { createHash } from 'node:crypto';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { TandemError } from '../errors.js';
import type { Example, SplitDataset, SplitSizes } from './types.js';

/** What a data set says of itself, apart from its examples. */
export interface DatasetFacts {
  readonly name: string;
  readonly classes: readonly string[];
  readonly source: string;
  readonly licence: string;
  readonly remarks?: readonly string[];
}

/** Examples by the source's own split; a part that the source does not have is cut from `train`. */
export interface RawParts {
  readonly train: readonly Example[];
  readonly validation?: readonly Example[];
  readonly test?: readonly Example[];
}

/** Where the source has no test split: this share of its training examples. */
const TEST_SHARE = 0.2;
/** Where the source has no validation split: this share of the training examples that are left, or as many as are asked for. */
const VALIDATION_SHARE = 0.1;
/** But never more than this share. */
const VALIDATION_MOST = 0.5;

type SplitName = 'train' | 'validation' | 'test';
const SPLITS: readonly SplitName[] = ['train', 'validation', 'test'];

/**
 * Cleans, de-duplicates, splits and orders a data set. The order of each split depends on the seed only, and every
 * prefix has the classes in nearly their overall proportions, so smaller sizes are prefixes of larger ones, as
 * long as no more validation examples are asked for than are held out anyway.
 * @throws TANDEM_DATA_INVALID when fewer than two classes are left, TANDEM_CONFIG_INVALID when a size exceeds its split
 */
export function assemble(
  facts: DatasetFacts,
  raw: RawParts,
  { seed, sizes }: { readonly seed: number; readonly sizes: SplitSizes },
): SplitDataset {
  const { parts, remarks } = deduplicate(raw);
  requireTwoClasses(facts, parts.train);
  const random = xoroshiro128plus(seed);
  let train = shuffledByClass(parts.train, random);
  let { validation, test } = parts;
  if (!test) [test, train] = cut(train, TEST_SHARE);
  if (!validation) [validation, train] = cut(train, validationShare(train, sizes.validation));
  const full = { train: train.flat(), validation, test };
  const used = {} as Record<SplitName, Example[]>;
  for (const split of SPLITS) used[split] = prefix(facts.name, split, proportional(full[split], random), sizes[split]);
  return {
    name: facts.name,
    classes: facts.classes,
    ...used,
    sha256: { train: hash(used.train), validation: hash(used.validation), test: hash(used.test) },
    source: facts.source,
    licence: facts.licence,
    remarks: [...(facts.remarks ?? []), ...remarks],
  };
}

/** One space for every run of white space: tokenizers here know no line breaks. */
const tidy = (text: string): string => text.replace(/\s{2,}|[^\S ]/g, ' ').trim();

/** Two texts are the same when they differ only in case, white space or Unicode form. */
const identity = (text: string): string => text.normalize('NFKC').toLowerCase();

/** Drops empty texts, repeated texts, texts labelled in two ways, and training texts that a later split holds too. */
function deduplicate(raw: RawParts): { parts: RawParts; remarks: string[] } {
  const dropped = { empty: 0, repeated: 0, contradicting: 0, shared: 0 };
  const taken = new Set<string>();
  const clean = (examples: readonly Example[] | undefined): Example[] | undefined => {
    if (!examples) return undefined;
    const byText = new Map<string, { example: Example; count: number; contradicts: boolean }>();
    for (const { text: original, label } of examples) {
      const text = tidy(original);
      const key = identity(text);
      const seen = byText.get(key);
      if (text === '') dropped.empty++;
      else if (taken.has(key)) dropped.shared++;
      else if (!seen) byText.set(key, { example: { text, label }, count: 1, contradicts: false });
      else {
        seen.count++;
        seen.contradicts ||= seen.example.label !== label;
      }
    }
    const kept: Example[] = [];
    for (const [key, { example, count, contradicts }] of byText) {
      if (contradicts) dropped.contradicting += count;
      else {
        dropped.repeated += count - 1;
        kept.push(example);
        taken.add(key);
      }
    }
    return kept;
  };
  // The benchmark's own test set first: what it holds leaves validation and training, not the other way round.
  const test = clean(raw.test);
  const validation = clean(raw.validation);
  const train = clean(raw.train)!;
  const remarks = [
    [dropped.empty, 'empty texts dropped'],
    [dropped.repeated, 'repeated texts dropped'],
    [dropped.contradicting, 'texts dropped that occur with different labels'],
    [dropped.shared, 'training or validation texts dropped that a later split holds too'],
  ] as const;
  return {
    parts: { train, validation, test },
    remarks: remarks.filter(([n]) => n > 0).map(([n, what]) => `${n} ${what}`),
  };
}

function validationShare(groups: readonly Example[][], asked = 0): number {
  const examples = groups.flat().length;
  // Every class may be rounded down by half an example.
  const needed = asked > VALIDATION_SHARE * examples ? (asked + groups.length / 2) / examples : 0;
  return Math.min(VALIDATION_MOST, Math.max(VALIDATION_SHARE, needed));
}

function requireTwoClasses({ name, classes, source }: DatasetFacts, train: readonly Example[]): void {
  const present = new Set(train.map(({ label }) => label));
  if (present.size >= 2) return;
  const only = [...present].map((label) => `"${classes[label]}"`)[0];
  throw new TandemError(
    'TANDEM_DATA_INVALID',
    only ? `Every training example of "${name}" has the label ${only}.` : `"${name}" has no training examples.`,
    { place: source, remedy: 'A classifier needs examples of at least two classes.' },
  );
}

/** Examples grouped by class, each group shuffled. */
function shuffledByClass(examples: readonly Example[], random: RandomGenerator): Example[][] {
  const classes = 1 + examples.reduce((largest, { label }) => Math.max(largest, label), -1);
  const groups = Array.from({ length: classes }, (): Example[] => []);
  for (const example of examples) groups[example.label]!.push(example);
  for (const group of groups) shuffle(group, random);
  return groups;
}

function shuffle<T>(items: T[], random: RandomGenerator): void {
  for (let last = items.length - 1; last > 0; last--) {
    const other = uniformInt(random, 0, last);
    [items[last], items[other]] = [items[other]!, items[last]!];
  }
}

/** The same share of every class (rounded), and the rest. */
function cut(groups: readonly Example[][], share: number): [Example[], Example[][]] {
  const count = (group: Example[]) => Math.round(group.length * share);
  return [groups.flatMap((group) => group.slice(0, count(group))), groups.map((group) => group.slice(count(group)))];
}

/** An order in which every prefix mixes the classes in proportion: example k of a class with n lies near (k + ½)/n. */
function proportional(examples: readonly Example[], random: RandomGenerator): Example[] {
  return shuffledByClass(examples, random)
    .flatMap((group) => group.map((example, k) => ({ example, at: (k + uniformFloat64(random)) / group.length })))
    .sort((a, b) => a.at - b.at)
    .map(({ example }) => example);
}

function prefix(name: string, split: SplitName, examples: Example[], size: number | undefined): Example[] {
  if (size === undefined) return examples;
  if (size <= examples.length) return examples.slice(0, size);
  throw new TandemError(
    'TANDEM_CONFIG_INVALID',
    `"${name}" has ${examples.length} ${split} examples; ${size} were asked for.`,
    {
      place: `${split} size of data set "${name}"`,
      remedy: `Ask for at most ${examples.length}, or leave the size out to use them all.`,
    },
  );
}

function hash(examples: readonly Example[]): string {
  const sum = createHash('sha256');
  for (const { text, label } of examples) sum.update(`${label}\t${text}\n`);
  return sum.digest('hex');
}
