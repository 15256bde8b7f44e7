import { Registry } from '../registry.js';
import { kingJamesBible } from './king-james-bible.js';
import { mobyDick, stateOfTheUnion } from './packaged-texts.js';
import { textFiles } from './text-files.js';
import type { Corpus } from './types.js';

export const corpora = new Registry<Corpus>('corpus');
for (const corpus of [kingJamesBible, mobyDick, stateOfTheUnion, textFiles]) corpora.register(corpus);
