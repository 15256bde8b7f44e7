/** Random search: points of the space, all equally likely, none of them twice. The yardstick of the other samplers. */
import { z } from 'zod';
import { Asked, randomIndex } from './points.js';
import type { Sampler } from './types.js';

export const random: Sampler = {
  name: 'random',
  description: 'Random search: points of the space, all equally likely, none of them twice.',
  schema: z.strictObject({}),
  start(space, _options, { seed }) {
    const asked = new Asked(space);
    const index = randomIndex(seed);
    return {
      ask() {
        const point = asked.fresh(index);
        return point && asked.add(point);
      },
      tell() {},
    };
  },
};
