import { Registry } from '../registry.js';
import { agnews, sst2 } from './folders.js';
import { imdb } from './imdb.js';
import { spamAssassin } from './spam-assassin.js';
import { tsv } from './tsv.js';
import type { Dataset } from './types.js';

export const datasets = new Registry<Dataset>('data set');
for (const dataset of [agnews, imdb, spamAssassin, sst2, tsv]) datasets.register(dataset);
