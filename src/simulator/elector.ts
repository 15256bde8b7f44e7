/**
 * ELECTOR, the transformer accelerator of TransCODE (arXiv 2303.14882), which grew out of AccelTran (arXiv 2302.14705):
 * PEs with lanes that multiply only where neither operand is zero, for inference and for training. It is simulated from a
 * transformer's shape and shares of zeros, or from the zeros of a trace; and as the published simulators do, for comparison.
 */
import { TandemError } from '../errors.js';
import { type ElectorConfig, electorSchema } from './elector/config.js';
import { corrected } from './elector/corrected.js';
import { ELECTOR, publishedCycleResult, publishedFastResult } from './elector/published-outcome.js';
import type { Infeasible, Machine, SimulationOptions, SimulationResult, Workload } from './types.js';

export const elector: Machine<ElectorConfig> = {
  name: ELECTOR,
  description: 'ELECTOR (TransCODE): tiles of zero-free operands on many lanes, for inference and training',
  schema: electorSchema,
  accepts: ['transformer', 'trace'],
  presets: ['elector-edge', 'elector-edge-lp', 'elector-server', 'elector-nano'],
  async simulate(config, workload, options) {
    options.signal?.throwIfAborted();
    if (workload.kind === 'gemms' || workload.kind === 'requests') {
      throw new TandemError('TANDEM_CONFIG_INVALID', 'ELECTOR plays transformers and traces, only.', {
        remedy: 'Give a transformer by its shape, or a trace of masks.',
      });
    }
    const mode = modeOf(config, options.fidelity);
    const chosen = { ...config, mode };
    switch (mode) {
      case 'published-cycle':
      case 'published-fast':
        return published(chosen, workload, options);
      case 'cycle':
      case 'fast':
        return corrected(chosen, workload, mode, options);
    }
  },
};

/** The fidelity that a user asks for chooses between the two modes of a kind. */
function modeOf({ mode }: ElectorConfig, fidelity: SimulationOptions['fidelity']): ElectorConfig['mode'] {
  if (fidelity !== 'fast') return mode;
  return mode.startsWith('published') ? 'published-fast' : 'fast';
}

function published(
  config: ElectorConfig,
  workload: Extract<Workload, { kind: 'trace' | 'transformer' }>,
  options: SimulationOptions,
): SimulationResult | Infeasible {
  if (workload.kind === 'trace') {
    throw new TandemError('TANDEM_CONFIG_INVALID', `The mode ${config.mode} does not read traces.`, {
      place: 'mode',
      remedy: 'Use mode cycle or fast, or simulate a transformer by its shape.',
    });
  }
  if (!config.sparsityModules) {
    throw new TandemError(
      'TANDEM_CONFIG_INVALID',
      `The mode ${config.mode} knows no machine without sparsity modules.`,
      {
        place: 'sparsityModules',
        remedy: 'Use mode cycle or fast.',
      },
    );
  }
  if (config.mainMemory.model === 'dram') {
    throw new TandemError('TANDEM_CONFIG_INVALID', `The mode ${config.mode} knows AccelTran’s main memories only.`, {
      place: 'mainMemory.model',
      remedy: 'Use mode cycle or fast, or leave mainMemory out.',
    });
  }
  const { architecture } = workload;
  const simulate = config.mode === 'published-fast' ? publishedFastResult : publishedCycleResult;
  const result = simulate(config, architecture, options);
  options.onProgress?.(architecture.layers.length);
  return result;
}
