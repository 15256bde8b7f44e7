// How fast the DRAM model is, and what bandwidth it gives: streams, strides and random requests on each preset, all of
// them there at once. Run `npm run build` first.
//
//     node benchmarks/dram.mjs [requests]
import { readPreset } from '../dist/hardware/preset-files.js';
import { presetConfig } from '../dist/hardware/presets.js';
import { burstBytes, capacityBytes, dramSchema, peakBytesPerCycle } from '../dist/simulator/memory/dram-config.js';
import { DramSystem } from '../dist/simulator/memory/dram-system.js';
import { memoryRequests } from '../dist/simulator/memory/requests.js';
import { streamBound } from '../dist/simulator/memory/stream.js';

const requests = Number(process.argv[2] ?? 400_000);

/** Processor time, since the machine may have other work. */
function run(config, pattern) {
  const all = [
    ...memoryRequests({ requests, burstBytes: burstBytes(config), spanBytes: capacityBytes(config), ...pattern }),
  ];
  const before = process.cpuUsage();
  const system = new DramSystem(config);
  for (const request of all) system.request(request);
  const cycles = system.finish();
  const { user, system: kernel } = process.cpuUsage(before);
  return { cycles, seconds: (user + kernel) / 1e6 };
}

const million = (value) => (value / 1e6).toFixed(1);
const percent = (value) => `${(100 * value).toFixed(1)} %`;

console.log('| memory | requests | of peak | of the bound | M cycles/s | M channel cycles/s |');
console.log('|---|---|---|---|---|---|');
for (const name of ['ddr4-3200', 'lpddr4-3200', 'hbm2']) {
  const config = presetConfig(readPreset(name), dramSchema);
  for (const [label, pattern] of [
    ['stream', { kind: 'stream' }],
    ['stream, 30 % writes', { kind: 'stream', writes: 0.3 }],
    ['stride of 4 KiB', { kind: 'stride', strideBytes: 4096 }],
    ['random', { kind: 'random' }],
    ['random, 30 % writes', { kind: 'random', writes: 0.3 }],
  ]) {
    run(config, pattern);
    const { cycles, seconds } = run(config, pattern);
    const rate = (requests * burstBytes(config)) / cycles;
    const bound = label === 'stream' ? percent(rate / streamBound(config)) : '';
    const speed = cycles / seconds;
    console.log(
      `| ${name} | ${label} | ${percent(rate / peakBytesPerCycle(config))} | ${bound} | ${million(speed)} | ${million(speed * config.organisation.channels)} |`,
    );
  }
}
