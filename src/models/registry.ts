import { Registry } from '../registry.js';
import { bert } from './bert.js';
import type { DecoderFamily } from './decoder-types.js';
import { flexibert } from './flexibert.js';
import { gpt2 } from './gpt2-family.js';
import { onnx } from './onnx.js';
import type { ModelFamily } from './types.js';
import { useLite } from './use-lite.js';

// biome-ignore lint/suspicious/noExplicitAny: each family has options of its own, validated by its schema.
export const modelFamilies = new Registry<ModelFamily<any>>('model family');
for (const family of [bert, flexibert, onnx, useLite]) modelFamilies.register(family);

// biome-ignore lint/suspicious/noExplicitAny: as above.
export const decoderFamilies = new Registry<DecoderFamily<any>>('decoder family');
decoderFamilies.register(gpt2);
