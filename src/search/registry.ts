import { Registry } from '../registry.js';
import { bayesian } from './bayesian.js';
import { greedy } from './greedy.js';
import { random } from './random.js';
import type { Sampler } from './types.js';

// biome-ignore lint/suspicious/noExplicitAny: each sampler has options of its own, validated by its schema.
export const samplers = new Registry<Sampler<any>>('sampler');
for (const sampler of [bayesian, greedy, random]) samplers.register(sampler);
