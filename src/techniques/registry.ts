import { Registry } from '../registry.js';
import { dtqatten } from './dtqatten.js';
import { dynaprop } from './dynaprop.js';
import { dynatran } from './dynatran.js';
import { leopard } from './leopard.js';
import { spatten } from './spatten.js';
import type { Technique } from './types.js';

// biome-ignore lint/suspicious/noExplicitAny: each technique has options of its own, validated by its schema.
export const techniques = new Registry<Technique<any>>('technique');
techniques.register(leopard);
techniques.register(dynatran);
techniques.register(dynaprop);
techniques.register(dtqatten);
techniques.register(spatten);
