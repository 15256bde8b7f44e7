/** The door through which machines come in. */
import { Registry } from '../registry.js';
import { leopard } from './leopard.js';
import { systolic } from './systolic.js';
import type { Machine } from './types.js';

export const machines = new Registry<Machine>('machine');

machines.register(leopard);
machines.register(systolic);
