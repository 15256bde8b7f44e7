import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TandemError } from '../errors.js';
import { assembleCorpus } from './documents.js';
import type { Corpus, TextDocument } from './types.js';

/** A user's own texts: every .txt file of a folder is a document, in the order of the names. */
export const textFiles: Corpus = {
  name: 'files',
  description: 'Your own texts: a folder of .txt files (UTF-8), every file a document.',
  async load({ folder }) {
    const remedy = 'Set the folder to one that holds .txt files.';
    if (!folder) throw new TandemError('TANDEM_CONFIG_INVALID', 'The corpus "files" needs a folder.', { remedy });
    const names = await readdir(folder).catch((cause) => {
      throw new TandemError('TANDEM_FILE_NOT_FOUND', `There is no folder ${folder}.`, { place: folder, remedy, cause });
    });
    const texts = names.filter((name) => name.endsWith('.txt')).sort();
    if (texts.length === 0) {
      throw new TandemError('TANDEM_FILE_NOT_FOUND', `There are no .txt files in ${folder}.`, {
        place: folder,
        remedy,
      });
    }
    const documents: TextDocument[] = [];
    for (const name of texts) documents.push({ title: name.slice(0, -4), text: await readText(join(folder, name)) });
    return assembleCorpus({ name: 'files', source: folder, licence: 'not stated', remarks: [] }, documents);
  },
};

async function readText(file: string): Promise<string> {
  const bytes = await readFile(file).catch((cause) => {
    throw new TandemError('TANDEM_FILE_UNREADABLE', `The file does not read: ${cause.message}`, {
      place: file,
      remedy: 'Check that it is a file that you may read.',
      cause,
    });
  });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TandemError('TANDEM_DATA_INVALID', 'The file is not UTF-8.', {
      place: file,
      remedy: 'Save it as UTF-8.',
      cause,
    });
  }
}
