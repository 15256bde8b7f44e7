/** The public API, as a program that uses Tandem as a library sees it. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  experimentJsonSchema,
  gemmSource,
  type Machine,
  machines,
  resolveMachine,
  silentProgress,
  simulateMachines,
  TandemError,
} from '../src/index.js';
import { scratchFile } from './experiment/scratch.js';

describe('the public API', () => {
  it('simulates a list of matrix products', async () => {
    const machine = resolveMachine({ preset: 'systolic-32x32-ws', settings: ['dataflow=os'] });
    const source = gemmSource(scratchFile('layers.csv', 'Layer,M,N,K\na,64,64,64\n'));
    const [result] = await simulateMachines([machine], source, { progress: silentProgress });
    // SCALE-Sim's output-stationary count: (R + C + K − 2) ⌈M/R⌉ ⌈N/C⌉ − 1.
    expect(result).toMatchObject({ feasible: true, cycles: (32 + 32 + 64 - 2) * 4 - 1, speedup: 1 });
  });

  it('says where a request is wrong', () => {
    expect(() => resolveMachine({ preset: 'systolic-32x32-ws', set: { 'array.rows': 0 } })).toThrow(
      expect.objectContaining({ code: 'TANDEM_CONFIG_INVALID', place: 'set.array.rows' }),
    );
    expect(() => resolveMachine({ machine: 'nothing' })).toThrow(TandemError);
  });

  it('takes a machine of one’s own through the door of the built-in ones', async () => {
    const echo: Machine<{ cycles: number }> = {
      name: 'echo',
      description: 'Fits nothing, and says so.',
      schema: z.strictObject({ cycles: z.int().min(1).describe('cycles that are not there') }),
      accepts: ['gemms'],
      presets: [],
      simulate: async ({ cycles }, _, { name }) => ({
        feasible: false,
        name,
        machine: 'echo',
        resource: 'cycles',
        demand: cycles,
        bound: 0,
        unit: 'cycles',
        levers: [],
      }),
    };
    machines.register(echo as Machine);
    expect(JSON.stringify(experimentJsonSchema())).toContain('"echo"');
    const machine = resolveMachine({ machine: 'echo', config: { cycles: 3 }, name: 'mine' });
    const source = gemmSource(scratchFile('layers.csv', 'Layer,M,N,K\na,1,1,1\n'));
    expect(await simulateMachines([machine], source, { progress: silentProgress })).toMatchObject([
      { feasible: false, name: 'mine', demand: 3 },
    ]);
  });
});
