/** Whether a trace's sequences fit the machine's memories. */
import type { TokenExitsRecord } from '../trace/types.js';
import { isExiting, isLight } from './toex-components.js';
import type { ToexConfig } from './toex-config.js';
import { lightBytes } from './toex-exit.js';
import { passTokens, tokenBytes } from './toex-layer.js';
import { type Decoder, sum } from './toex-model.js';
import { bytesOf } from './toex-operations.js';
import type { Infeasible } from './types.js';

export type Misfit = Pick<Infeasible, 'resource' | 'demand' | 'bound' | 'unit' | 'levers'>;

/** What the model alone asks for. */
export function modelMisfit(config: ToexConfig, decoder: Decoder): Misfit | undefined {
  const { buffers, depthTable, exit, words } = config;
  const { layers, vocabulary } = decoder;
  return (
    over('depth table', layers.length, depthTable.layers, 'layers', 'depthTable.layers') ??
    (passTokens(config, decoder) > 0
      ? undefined
      : over(
          'activation buffer',
          tokenBytes(config, decoder),
          buffers.activationBytes,
          'bytes',
          'buffers.activationBytes',
        )) ??
    (isLight(config)
      ? (over(
          'coarse scores',
          bytesOf(vocabulary, words.activationBits),
          exit.scoreBytes,
          'bytes',
          'exit.scoreBytes',
        ) ??
        (exit.lightEmbedding === 'chip'
          ? over('light output embedding', lightBytes(decoder), exit.lightBytes, 'bytes', 'exit.lightBytes', [
              'exit.lightEmbedding: dram',
            ])
          : undefined))
      : undefined)
  );
}

/** What a sequence asks for. */
export function sequenceMisfit(
  config: ToexConfig,
  { layers, hidden }: Decoder,
  { exits }: Pick<TokenExitsRecord, 'exits'>,
): Misfit | undefined {
  const { buffers, depthTable, engine, keyValues, pending, words } = config;
  const tokens = exits.length;
  const scores = 2 * bytesOf(Math.min(engine.rows, tokens) * tokens, words.activationBits);
  const stored = sum(layers.map(({ attention }) => bytesOf(2 * attention * tokens, words.keyValueBits)));
  return (
    over('depth table', tokens, depthTable.positions, 'tokens', 'depthTable.positions', ['shorter sequences']) ??
    over('score buffer', scores, buffers.scoreBytes, 'bytes', 'buffers.scoreBytes', ['shorter sequences']) ??
    (keyValues.place === 'chip'
      ? over('key and value memory', stored, keyValues.bytes, 'bytes', 'keyValues.bytes', ['keyValues.place: dram'])
      : undefined) ??
    (pending.place === 'chip' && isExiting(config) && config.backFill !== 'none'
      ? over(
          'pending states',
          bytesOf(mostPending(exits, layers.length) * hidden, words.activationBits),
          pending.bytes,
          'bytes',
          'pending.bytes',
          ['pending.place: dram'],
        )
      : undefined)
  );
}

/** The most tokens that wait at any time: the longest run of tokens of which none runs all layers. */
function mostPending(exits: Uint16Array, layers: number): number {
  let [most, waiting] = [0, 0];
  for (const exit of exits) {
    waiting = exit === layers ? 0 : waiting + 1;
    most = Math.max(most, waiting);
  }
  return most;
}

function over(
  resource: string,
  demand: number,
  bound: number,
  unit: string,
  setting: string,
  more: readonly string[] = [],
): Misfit | undefined {
  return demand <= bound ? undefined : { resource, demand, bound, unit, levers: [`${setting} ≥ ${demand}`, ...more] };
}
