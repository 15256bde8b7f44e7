/** Corpora split for language modelling. */
import { TandemError } from '../errors.js';
import { corpora } from './corpora.js';
import { hashDocuments } from './documents.js';
import type { SplitText, TextCorpus, TextDocument } from './types.js';

export interface TextRequest {
  /** Names of registered corpora. */
  readonly corpora: readonly string[];
  /** The folder that the corpus `files` reads. */
  readonly folder?: string;
  /** Share of every corpus' documents that is held out of training, in (0, 1). */
  readonly heldOut: number;
}

/**
 * Loads corpora and holds the last documents of each out of training, alternately for validation and test. A training
 * document that is held out too, word for word, is dropped.
 * @throws TANDEM_CONFIG_INVALID for a share outside (0, 1), no corpus or one named twice, TANDEM_UNKNOWN_NAME,
 * TANDEM_DATA_INVALID where nothing is left to train on, and what loading a corpus throws
 */
export async function loadText({ corpora: names, folder, heldOut }: TextRequest): Promise<SplitText> {
  check(names, heldOut);
  const loaded: TextCorpus[] = [];
  for (const name of names) loaded.push(await corpora.get(name).load({ folder }));
  const parts = loaded.map((corpus) => cut(corpus, heldOut));
  const validation = parts.flatMap((part) => part.validation);
  const test = parts.flatMap((part) => part.test);
  const held = new Set([...validation, ...test].map(({ text }) => text));
  const kept = parts.map((part) => part.training.filter(({ text }) => !held.has(text)));
  const training = kept.flat();
  if (training.length === 0) {
    throw new TandemError('TANDEM_DATA_INVALID', 'Every training document is held out too, word for word.', {
      place: loaded.map(({ source }) => source).join('; '),
      remedy: 'Give documents that differ.',
    });
  }
  return {
    training,
    validation,
    test,
    sha256: { training: hashDocuments(training), validation: hashDocuments(validation), test: hashDocuments(test) },
    corpora: loaded.map(({ documents: _, ...facts }, i) => {
      const dropped = parts[i]!.training.length - kept[i]!.length;
      const remark = `training documents dropped that are held out too: ${dropped}`;
      return { ...facts, remarks: dropped > 0 ? [...facts.remarks, remark] : facts.remarks };
    }),
  };
}

function check(names: readonly string[], heldOut: number): void {
  if (!(heldOut > 0 && heldOut < 1)) {
    throw new TandemError('TANDEM_CONFIG_INVALID', `The share held out is ${heldOut}.`, {
      remedy: 'Hold out a share between 0 and 1, for example 0.1.',
    });
  }
  if (names.length === 0 || new Set(names).size < names.length) {
    const what = names.length === 0 ? 'No corpus is named.' : 'A corpus is named twice.';
    const remedy = `Name one or more, each once: ${corpora.names().join(', ')}.`;
    throw new TandemError('TANDEM_CONFIG_INVALID', what, { remedy });
  }
}

/** The corpus' last documents alternate between validation and test, at least one each. */
function cut({ name, documents, source }: TextCorpus, heldOut: number) {
  const count = Math.max(2, Math.round(documents.length * heldOut));
  if (documents.length <= count) {
    throw new TandemError(
      'TANDEM_DATA_INVALID',
      `The corpus "${name}" has ${documents.length} documents; holding ${count} out leaves none for training.`,
      { place: source, remedy: 'Give at least three documents, and hold out a smaller share.' },
    );
  }
  const held = documents.slice(-count);
  return {
    training: documents.slice(0, -count),
    validation: held.filter((_, i) => i % 2 === 0),
    test: held.filter((_, i) => i % 2 === 1),
  } satisfies Record<string, readonly TextDocument[]>;
}
