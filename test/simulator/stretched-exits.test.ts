import fc from 'fast-check';
import { expect, test } from 'vitest';
import { measureExits, stretchedExits } from '../../src/simulator/stretched-exits.js';
import { toex } from '../../src/simulator/toex.js';
import { toexSchema } from '../../src/simulator/toex-config.js';
import { checkExits, exitChecks } from '../../src/trace/exits.js';
import { namedTransformer, TRANSFORMER_NAMES } from '../../src/workload/named-transformers.js';
import { anyExits, decoder, exitsRecord, exitsTrace } from './toex-trace.js';

const measured = (records = [exitsRecord(4, [4, 4, 2, 1, 3, 4], { prompt: 2 })], sequences = 9) => {
  const { header, records: stream } = exitsTrace(decoder(4), records, { candidates: 300 });
  return measureExits(header, stream, sequences);
};

test('exits of four layers become those of twelve at the same relative depth, and checks likewise', async () => {
  const { header, records } = stretchedExits(await measured(), namedTransformer('gpt2'), { tokens: 1000 });
  expect([...records[0]!.exits]).toEqual([12, 12, 6, 3, 9, 12]);
  expect(records[0]!.prompt).toBe(2);
  expect(exitChecks(header)).toEqual({ checks: [3, 6, 9], candidates: 300 });
});

test('depths that do not divide are rounded up; a shallower decoder may run all of its layers instead', async () => {
  const shallow = { ...decoder(3), name: 'shallow' };
  const { header, records } = stretchedExits(await measured(), shallow, { tokens: 1000 });
  expect([...records[0]!.exits]).toEqual([3, 3, 2, 1, 3, 3]);
  expect(exitChecks(header).checks).toEqual([1, 2]);
  expect(header).toMatchObject({ model: 'shallow, by shape', layers: 3, headsPerLayer: [2, 2, 2] });
});

test('sequences are cut, prompts too, and no more are taken than asked for', async () => {
  const profile = await measured(
    [0, 1, 2].map((sequence) => exitsRecord(4, [2, 2, 2, 1], { sequence, prompt: 3 })),
    2,
  );
  const { header, records } = stretchedExits(profile, namedTransformer('gpt2'), { tokens: 2 });
  expect(header.sequences).toBe(2);
  expect(records.map(({ prompt, exits }) => [prompt, ...exits])).toEqual([
    [2, 6, 6],
    [2, 6, 6],
  ]);
});

test('whatever is measured is a trace that can be played on every shape', () => {
  const names = fc.constantFrom(...TRANSFORMER_NAMES);
  return fc.assert(
    fc.asyncProperty(anyExits(4), names, async (record, name) => {
      const { header, records } = stretchedExits(await measured([record]), namedTransformer(name), { tokens: 16 });
      const { checks } = exitChecks(header);
      for (const one of records) expect(() => checkExits(one, header.layers, checks)).not.toThrow();
    }),
  );
});

test.each(['gpt2', 'gpt2-medium', 'gpt2-large', 'gpt2-xl'])('%s runs on the default machine', async (name) => {
  const { header, records } = stretchedExits(await measured(), namedTransformer(name), { tokens: 6 });
  async function* stream() {
    yield* records;
  }
  const config = toexSchema.parse({});
  const result = await toex.simulate(config, { kind: 'trace', header, records: stream() }, { name, fidelity: 'fast' });
  expect(result).toMatchObject({ feasible: true });
});

test('a trace without exits is refused', async () => {
  await expect(measured([])).rejects.toMatchObject({ code: 'TANDEM_TRACE_INCONSISTENT' });
});
