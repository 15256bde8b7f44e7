/** From what a run summed up to a result: laws, parts, waits, shares, remarks. */
import { ConservationLaws } from './conservation.js';
import { resultOf, sumCounts } from './engine.js';
import { withMemory } from './memory/settings.js';
import { memoryTraffic, toexActions, toexComponents } from './toex-components.js';
import { toexMemory } from './toex-memory.js';
import { bytesOf, noActivity } from './toex-operations.js';
import type { ToexRun } from './toex-run.js';
import type { SimulationResult } from './types.js';

const NAME = 'toex';
/** Kinds of waiting of the engine, in a result's words. */
const STALLS = {
  memory: 'waiting for memory',
  special: 'waiting for the special function unit',
  exit: 'waiting for the exit unit',
  tail: 'after the last product',
} as const;

export function toexResult(run: ToexRun, name: string): SimulationResult {
  const { config, fidelity, cycles } = run;
  const worked = run.parts.filter(({ activity, cycles: some }) => some > 0 || activity.results > 0);
  const lanes = config.engine.lanes * config.engine.rows;
  const parts = worked.map(({ name: layer, cycles: some, activity }) => ({
    layer,
    cycles: some,
    utilisation: share(activity.macs, some * lanes),
    counts: { ...activity },
    actions: toexActions(config, activity),
  }));
  const laws = new ConservationLaws(NAME);
  const counts = { ...noActivity(), ...sumCounts(parts.map((part) => part.counts)) };
  checkLaws(laws, run, counts);
  const traffic = memoryTraffic(config, counts);
  const result = resultOf({
    name,
    machine: NAME,
    configuration: config,
    fidelity,
    ...(fidelity === 'fast' && { cyclesError: errorOf(run) }),
    cycles,
    composition: toexComponents(config),
    parts,
    utilisation: {
      engine: share(counts.engineCycles, cycles),
      'multiply-accumulate lanes': share(counts.macs, cycles * lanes),
      'special functions': share(counts.specialCycles, cycles),
      'exit unit': share(counts.exitCycles, cycles),
      memory: share((8 * (traffic.read + traffic.written)) / toexMemory(config).bitsPerCycle, cycles),
    },
    histograms: { exits: run.exits.bins, batch: run.batches.bins },
    timeline: run.recorder.lanes,
    laws,
    remarks: [],
  });
  return {
    ...withMemory({ ...result, remarks: remarks(run, result) }, toexMemory(config)),
    timelineOf: 'some decoding steps',
    ...(fidelity === 'cycle' && {
      stalls: Object.fromEntries(
        Object.entries(STALLS).map(([wait, kind]) => [kind, run.waits[wait as keyof typeof STALLS]]),
      ),
    }),
  };
}

function checkLaws(laws: ConservationLaws, run: ToexRun, counts: ReturnType<typeof noActivity>): void {
  const { config, decoder, expected, cycles, waits } = run;
  laws.equal(
    'token-layers done + left = layers × tokens',
    counts.tokenLayers + counts.keyValueProjections + expected.left,
    expected.tokenLayers,
  );
  laws.atMost('never more token-layers than without exits', counts.tokenLayers, expected.tokenLayers);
  laws.equal('decoders loaded = sum of the steps’ exits', counts.decodersLoaded, expected.decodersLoaded);
  laws.equal(
    'bytes of weights = loads × bytes of a layer, and further passes',
    counts.weightBytes - counts.repeatedWeightBytes,
    expected.weightBytes,
  );
  laws.equal('checks = checked layers up to each step’s exit', counts.checks, expected.checks);
  laws.equal(
    'bytes of keys and values written = token-layers × bytes of a token',
    counts.keyValueBytesWritten,
    run.parts.reduce((sum, { activity }, part) => {
      const { attention } = decoder.layers[part - 1] ?? { attention: 0 };
      const tokens = activity.tokenLayers + activity.keyValueProjections;
      return sum + tokens * bytesOf(2 * attention, config.words.keyValueBits);
    }, 0),
  );
  if (config.backFill === 'lazy') {
    laws.equal(
      'bytes of states written = read + still pending',
      counts.stateBytesWritten,
      counts.stateBytesRead + expected.pendingStateBytes,
    );
  }
  const { read, written } = memoryTraffic(config, counts);
  laws.atMost(
    'multiplications ≤ engine cycles × lanes × rows',
    counts.macs,
    counts.engineCycles * config.engine.lanes * config.engine.rows,
  );
  if (run.fidelity === 'fast') return;
  laws.equal(
    'cycles = engine at work + waiting',
    cycles,
    counts.engineCycles + waits.memory + waits.special + waits.exit + waits.tail,
  );
  laws.atMost(
    'bits moved ≤ busy cycles of memory × bandwidth',
    8 * (read + written),
    run.memoryBusy * toexMemory(config).bitsPerCycle,
  );
  laws.atMost('memory: busy ≤ cycles', run.memoryBusy, cycles);
  laws.atMost('special functions: busy ≤ cycles', counts.specialCycles, cycles);
  laws.atMost('exit unit: busy ≤ cycles', counts.exitCycles, cycles);
}

function remarks(run: ToexRun, { parts, cycles, energyPicojoules, counts }: SimulationResult): string[] {
  const { config } = run;
  const checks = parts.find(({ layer }) => layer === 'exit checks');
  const remarks = [
    'One sequence at a time, token by token after the prompt. Nothing of the published machine but its ideas is known: all sizes are assumptions of this reconstruction.',
  ];
  if (checks !== undefined) {
    remarks.push(
      `Exit decisions take ${percent(checks.cycles, cycles)} of the time and ${percent(checks.energyPicojoules, energyPicojoules)} of the energy (${config.outputEmbedding} output embedding).`,
    );
  }
  if (counts.repeatedWeightBytes! > 0) {
    remarks.push(
      `${percent(counts.repeatedWeightBytes!, counts.weightBytes!)} of the bytes of weights are loaded again, for tokens of a step whose activations do not fit buffers.activationBytes together.`,
    );
  }
  if (config.tokens === 'exits' && config.backFill !== 'lazy') {
    remarks.push(
      config.backFill === 'propagate'
        ? 'Keys and values of exited tokens are taken from the state they left with: not what the whole model computes. The trace’s exits are played as they are.'
        : 'Later tokens do not see exited ones at deeper layers: not what the whole model computes. The trace’s exits are played as they are.',
    );
  }
  if (run.fidelity === 'fast') {
    remarks.push(
      `Fast estimate: cycles differ by ${(100 * errorOf(run)).toFixed(2)} % from cycle fidelity on the ${run.replayed.steps} steps of this trace that were replayed.`,
    );
  }
  return remarks;
}

const errorOf = ({ replayed: { estimated, exact } }: ToexRun): number => (exact === 0 ? 0 : estimated / exact - 1);
const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
const percent = (part: number, whole: number): string => `${(100 * share(part, whole)).toPrecision(3)} %`;
