/** The door through which machines come in. */
import { Registry } from '../registry.js';
import { dram } from './dram.js';
import { elector } from './elector.js';
import { eyeriss } from './eyeriss.js';
import { leopard } from './leopard.js';
import { spatten } from './spatten.js';
import { systolic } from './systolic.js';
import { toex } from './toex.js';
import type { Machine } from './types.js';
import { vssa } from './vssa.js';

export const machines = new Registry<Machine>('machine');

machines.register(dram);
machines.register(elector);
machines.register(eyeriss);
machines.register(leopard);
machines.register(spatten);
machines.register(systolic);
machines.register(toex);
machines.register(vssa);
