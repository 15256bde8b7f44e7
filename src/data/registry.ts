import { Registry } from '../registry.js';
import { imdb } from './imdb.js';
import { spamAssassin } from './spam-assassin.js';
import type { Dataset } from './types.js';

export const datasets = new Registry<Dataset>('data set');
for (const dataset of [imdb, spamAssassin]) datasets.register(dataset);
