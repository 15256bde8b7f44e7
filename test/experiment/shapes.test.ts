import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { resolveMachine } from '../../src/experiment/machines.js';
import type { RunFolder } from '../../src/experiment/run-folder.js';
import { simulateShapes } from '../../src/experiment/shapes.js';
import type { Workload } from '../../src/simulator/types.js';
import { TraceWriter } from '../../src/trace/files.js';
import { decoder, exitsRecord, exitsTrace } from '../simulator/toex-trace.js';
import { architecture, shuffledBits, tokenBitsTrace } from '../simulator/vssa-trace.js';

const path = mkdtempSync(join(tmpdir(), 'tandem-shapes-'));
afterAll(() => rmSync(path, { recursive: true }));

async function outcomes(trace: Workload, presets: readonly string[]) {
  if (trace.kind !== 'trace') throw new Error('no trace');
  const writer = await TraceWriter.create(join(path, 'run.trace'), trace.header);
  for await (const record of trace.records) await writer.write(record);
  await writer.close();
  const machines = presets.map((preset) => resolveMachine({ preset }));
  const progress = { task: () => ({ update() {}, end() {} }) };
  return simulateShapes(
    [{ file: 'run.trace', machines }],
    { shapes: { models: ['gpt2', 'gpt2-medium'], tokens: 8, sequences: 1 }, seed: 1 },
    { file: (name: string) => join(path, name) } as RunFolder,
    { progress } as unknown as Parameters<typeof simulateShapes>[3],
  );
}

test('measured exits go to the sizes of other decoders, and save the same share of decoders there', async () => {
  const trace = exitsTrace(decoder(4), [exitsRecord(4, [4, 1, 1, 2, 1, 4, 1, 1])], { checks: [1, 2], candidates: 30 });
  const shapes = await outcomes(trace, ['toex-dense', 'toex-hbm2']);
  expect(shapes.map(({ model }) => model)).toEqual(['gpt2', 'gpt2-medium']);
  for (const { machines } of shapes) {
    const [dense, exits] = machines;
    expect(dense).toMatchObject({ feasible: true, speedup: 1 });
    // 15 of 32 decoders, and a full output embedding for two tokens of eight; checks and keys take some of it.
    expect(exits).toMatchObject({ feasible: true });
    expect((exits as { speedup: number }).speedup).toBeGreaterThan(1.8);
  }
});

test('bits per token go to other sizes as before', async () => {
  const trace = tokenBitsTrace(architecture(1), [{ sequence: 0, layer: 0, head: -1, bits: shuffledBits(2, 5, 1, 1) }]);
  const [shape] = await outcomes(trace, ['vssa']);
  expect(shape!.machines[0]).toMatchObject({ name: 'vssa', feasible: true });
});
