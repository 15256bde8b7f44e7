/**
 * TransCODE's design space of accelerators: a machine as twelve numbers, and back.
 *
 *     [tile b, tile x, tile y, PEs, lanes per PE, multipliers per lane, softmax units per PE, batch,
 *      activation MB, weight MB, mask MB, index of the main memory]
 *
 * What the numbers leave open is fixed: GELU, loop order bijk, and a scheduler that issues a quarter as many operations
 * together as there are PEs. (TransCODE, arXiv 2303.14882, design_space_accelerator and its decoder.)
 */
import { TandemError } from '../../errors.js';
import { type ElectorConfig, electorSchema, MEMORIES } from './config.js';
import { TECHNOLOGY } from './constants.js';

interface Dimension {
  readonly name: string;
  readonly values: readonly number[];
  get(config: ElectorConfig): number;
}

export const EMBEDDING: readonly Dimension[] = [
  { name: 'tile.b', values: [1, 4], get: ({ tile }) => tile.b },
  { name: 'tile.x', values: [8, 16, 32], get: ({ tile }) => tile.x },
  { name: 'tile.y', values: [8, 16, 32], get: ({ tile }) => tile.y },
  { name: 'pes', values: [64, 128, 256, 512, 1024], get: ({ pes }) => pes },
  { name: 'lanesPerPe', values: [8, 16, 32, 64, 128], get: ({ lanesPerPe }) => lanesPerPe },
  { name: 'macsPerLane', values: [1, 16], get: ({ macsPerLane }) => macsPerLane },
  { name: 'softmaxPerPe', values: [2, 4, 8, 16, 32, 64], get: ({ softmaxPerPe }) => softmaxPerPe },
  { name: 'batch', values: [4, 16, 32], get: ({ batch }) => batch },
  {
    name: 'buffers.activationMegabytes',
    values: [4, 8, 16, 32, 64],
    get: ({ buffers }) => buffers.activationMegabytes,
  },
  { name: 'buffers.weightMegabytes', values: [8, 16, 32, 64, 128], get: ({ buffers }) => buffers.weightMegabytes },
  { name: 'buffers.maskMegabytes', values: [1, 2, 4, 8, 16], get: ({ buffers }) => buffers.maskMegabytes },
  { name: 'memory', values: MEMORIES.map((_, index) => index), get: ({ memory }) => MEMORIES.indexOf(memory) },
];

/** The lanes' function is a knob of the space as published, though no number of the embedding holds it. */
const NON_LINEARITIES = electorSchema.shape.nonLinearity.unwrap().options.length;
/** x and y are one knob. */
const TILE_Y = 2;

/** Accelerators in the published space: 14,850,000. */
export const DESIGN_SPACE_SIZE = EMBEDDING.reduce(
  (size, { values }, position) => (position === TILE_Y ? size : size * values.length),
  NON_LINEARITIES,
);

const PES_PER_SCHEDULED_OPERATION = 4;

/** What the embedding does not hold but the user may want otherwise. */
export type EmbeddingOptions = Partial<Pick<ElectorConfig, 'mode' | 'phase' | 'sparsity'>>;

/**
 * The machine that the numbers stand for.
 * @param place where the numbers were written, for errors
 * @throws TANDEM_CONFIG_INVALID naming the position, counted from 0, and what is allowed there
 */
export function decodeAccelerator(
  embedding: readonly unknown[],
  options: EmbeddingOptions = {},
  place?: string,
): ElectorConfig {
  const numbers = checked(embedding, place);
  const [b, x, y, pes, lanesPerPe, macsPerLane, softmaxPerPe, batch, activation, weight, mask, memory] = numbers as [
    ...ElevenNumbers,
    number,
  ];
  return electorSchema.parse({
    technology: TECHNOLOGY,
    tile: { b, x, y },
    nonLinearity: 'gelu',
    pes,
    lanesPerPe,
    macsPerLane,
    softmaxPerPe,
    batch,
    buffers: { activationMegabytes: activation, weightMegabytes: weight, maskMegabytes: mask },
    memory: MEMORIES[memory],
    loopOrder: 'bijk',
    schedulerBatch: pes / PES_PER_SCHEDULED_OPERATION,
    ...options,
  });
}

type ElevenNumbers = [number, number, number, number, number, number, number, number, number, number, number];

/**
 * The numbers of a machine of the space.
 * @throws TANDEM_CONFIG_INVALID for a machine that has none: decoding them would give another one
 */
export function encodeAccelerator(config: ElectorConfig): number[] {
  const embedding = checked(EMBEDDING.map(({ get }) => get(config)));
  const fixed: readonly [string, unknown, unknown][] = [
    ['nonLinearity', config.nonLinearity, 'gelu'],
    ['loopOrder', config.loopOrder, 'bijk'],
    ['schedulerBatch', config.schedulerBatch, config.pes / PES_PER_SCHEDULED_OPERATION],
  ];
  for (const [setting, value, needed] of fixed) {
    if (value === needed) continue;
    throw new TandemError('TANDEM_CONFIG_INVALID', `No embedding stands for a machine with ${setting} = ${value}.`, {
      place: setting,
      remedy: `Embeddings stand for machines with ${setting} = ${needed}.`,
    });
  }
  return embedding;
}

function checked(embedding: readonly unknown[], place?: string): number[] {
  if (embedding.length !== EMBEDDING.length) {
    throw new TandemError(
      'TANDEM_CONFIG_INVALID',
      `An accelerator is ${EMBEDDING.length} numbers, not ${embedding.length}.`,
      { place, remedy: `Give, in order: ${EMBEDDING.map(({ name }) => name).join(', ')}.` },
    );
  }
  for (const [position, { name, values }] of EMBEDDING.entries()) {
    const value = embedding[position];
    if (values.includes(value as number)) continue;
    const which = `Number ${position} of the accelerator, ${name},`;
    const meaning = name === 'memory' ? ` They stand for ${MEMORIES.join(', ')}.` : '';
    throw new TandemError('TANDEM_CONFIG_INVALID', `${which} may not be ${JSON.stringify(value)}.`, {
      place,
      remedy: `Use one of: ${values.join(', ')}.${meaning}`,
    });
  }
  const numbers = embedding as number[];
  if (numbers[1] !== numbers[TILE_Y]) {
    throw new TandemError(
      'TANDEM_CONFIG_INVALID',
      `Numbers 1 and 2 of the accelerator, tile.x and tile.y, differ: ${numbers[1]} and ${numbers[TILE_Y]}.`,
      { place, remedy: 'Tiles of the design space are square: make the two equal.' },
    );
  }
  return numbers;
}
