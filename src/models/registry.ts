import { Registry } from '../registry.js';
import type { ModelFamily } from './types.js';
import { useLite } from './use-lite.js';

// biome-ignore lint/suspicious/noExplicitAny: each family has options of its own, validated by its schema.
export const modelFamilies = new Registry<ModelFamily<any>>('model family');
modelFamilies.register(useLite);
