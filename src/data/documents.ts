/** From texts as read to the documents of a corpus. */
import { createHash } from 'node:crypto';
import { TandemError } from '../errors.js';
import type { TextCorpus, TextDocument } from './types.js';

/** Lines of hard-wrapped text end by this column: the usual 70 to 79, and a little more. */
const WRAP_AT = 80;
/** In hard-wrapped text more than half of the lines that go on reach this far; in verse and lists they do not. */
const WRAPPED_LINE = 55;

/** @throws TANDEM_DATA_INVALID when no document holds text */
export function assembleCorpus(
  facts: Omit<TextCorpus, 'documents' | 'sha256'>,
  raw: readonly TextDocument[],
): TextCorpus {
  const documents = raw.map(({ title, text }) => ({ title, text: tidyText(text) })).filter(({ text }) => text !== '');
  if (documents.length === 0) {
    throw new TandemError('TANDEM_DATA_INVALID', `The corpus "${facts.name}" holds no text.`, {
      place: facts.source,
      remedy: 'Give it at least one text that is not empty.',
    });
  }
  const empty = raw.length - documents.length;
  return {
    ...facts,
    documents,
    sha256: hashDocuments(documents),
    remarks: empty > 0 ? [...facts.remarks, `${empty} empty documents dropped`] : facts.remarks,
  };
}

/**
 * Line feeds only, no trailing spaces, one empty line between paragraphs, no byte-order mark; in hard-wrapped texts
 * every paragraph on one line.
 */
export function tidyText(text: string): string {
  const lines = text
    .replace(/^\uFEFF/, '')
    .replace(/\r\n?|[\u2028\u2029]/g, '\n')
    .split('\n')
    .map((line) => line.trimEnd());
  const paragraphs = lines
    .join('\n')
    .replace(/^\n+|\n+$/g, '')
    .split(/\n{2,}/)
    .map((paragraph) => paragraph.split('\n'));
  const tidied = isHardWrapped(paragraphs)
    ? paragraphs.map((paragraph) => paragraph.map((line) => line.trim()).join(' '))
    : paragraphs.map((paragraph) => paragraph.join('\n'));
  return tidied.join('\n\n');
}

/** Whether lines end where the page did: none is long, and most that another line follows are nearly full. */
function isHardWrapped(paragraphs: readonly (readonly string[])[]): boolean {
  if (paragraphs.some((lines) => lines.some((line) => line.length > WRAP_AT))) return false;
  const goOn = paragraphs.flatMap((lines) => lines.slice(0, -1));
  return goOn.filter((line) => line.length >= WRAPPED_LINE).length > goOn.length / 2;
}

/** Lengths go in with the texts, so that moving a boundary changes the hash. */
export function hashDocuments(documents: readonly TextDocument[]): string {
  const sum = createHash('sha256');
  for (const { title, text } of documents) sum.update(`${JSON.stringify(title)}\t${text.length}\n${text}\n`);
  return sum.digest('hex');
}
