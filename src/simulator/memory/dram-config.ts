/** What a DRAM system consists of, its gaps between commands and what commands cost. */
import { z } from 'zod';
import { technologySchema } from '../../hardware/presets.js';

const count = z.int().min(1);
const cycles = z.int().min(0).max(1_000_000);
const power = (most: number) =>
  count.max(most).refine((value) => Number.isInteger(Math.log2(value)), 'use a power of two');

export const FIELDS = ['row', 'rank', 'bank', 'group', 'column', 'channel'] as const;
export type Field = (typeof FIELDS)[number];

const isMap = (text: string): boolean => text.split('-').toSorted().join() === FIELDS.toSorted().join();

export const dramSchema = z
  .strictObject({
    technology: technologySchema.describe('Clock of the commands, Hz: half the data rate of a pin'),
    organisation: z.strictObject({
      channels: power(64).describe('Channels with command and data buses of their own; of HBM, pseudo-channels'),
      ranks: power(8).default(1).describe('Ranks that share a channel'),
      bankGroups: power(8).describe('Bank groups of a rank; 1 where the standard has none'),
      banks: power(32).describe('Banks of a group'),
      rows: power(1048576).describe('Rows of a bank'),
      rowBytes: power(65536).describe('Bytes that an activate opens, over all devices of a rank'),
      busBits: power(1024).describe('Data pins of a channel'),
      burstLength: power(32).describe('Transfers that a read or write makes on each pin'),
    }),
    timing: z
      .strictObject({
        cl: cycles.describe('Read to its first data (CL, RL), cycles, as all of these'),
        cwl: cycles.describe('Write to its first data (CWL, WL)'),
        rcdRead: cycles.describe('Activate to read, same bank (tRCD)'),
        rcdWrite: cycles.describe('Activate to write, same bank (tRCD)'),
        rp: cycles.describe('Precharge to activate, same bank (tRP, tRPpb)'),
        rpAll: cycles.describe('Precharge of all banks to refresh (tRP, tRPab)'),
        ras: cycles.describe('Activate to precharge, same bank (tRAS)'),
        rc: cycles.describe('Activate to activate, same bank (tRC)'),
        ccdShort: cycles.min(1).describe('Read to read or write to write, other groups (tCCD_S)'),
        ccdLong: cycles.min(1).describe('The same within a group (tCCD_L)'),
        rrdShort: cycles.min(1).describe('Activate to activate, other groups (tRRD_S)'),
        rrdLong: cycles.min(1).describe('The same within a group (tRRD_L)'),
        faw: cycles.describe('Window that holds at most four activates of a rank (tFAW)'),
        wtrShort: cycles.describe('End of written data to read, other groups of the rank (tWTR_S)'),
        wtrLong: cycles.describe('The same within a group (tWTR_L)'),
        rtp: cycles.describe('Read to precharge (tRTP)'),
        wr: cycles.describe('End of written data to precharge (tWR)'),
        rfc: cycles.min(1).describe('Refresh to anything else of the rank (tRFC)'),
        refi: count.describe('From one refresh of a rank to the next (tREFI)'),
        turn: cycles.describe('Idle cycles of the data bus between read data and written data'),
        rankTurn: cycles.describe('Idle cycles of the data bus between ranks (tRTRS)'),
      })
      .describe('Gaps between commands, in cycles'),
    energy: z
      .strictObject({
        activatePicojoules: z.number().min(0).describe('Opening a row and closing it again, pJ, over a rank’s devices'),
        readPicojoules: z.number().min(0).describe('A burst read, pJ, without the interface'),
        writePicojoules: z.number().min(0).describe('A burst written, pJ, without the interface'),
        interfacePicojoulesPerBit: z.number().min(0).describe('Interface and termination, pJ per bit moved'),
        refreshPicojoules: z.number().min(0).describe('A refresh of a rank, pJ'),
        activeMilliwatts: z.number().min(0).describe('Standby power of a rank with an open row, mW'),
        prechargedMilliwatts: z.number().min(0).describe('Standby power of a rank without one, mW'),
      })
      .describe('What commands and waiting cost'),
    commandBuses: z
      .union([z.literal(1), z.literal(2)])
      .default(1)
      .describe('2: activates, precharges and refreshes go beside reads and writes, as in HBM; 1: one command a cycle'),
    addressMap: z
      .string()
      .refine(isMap, `use each of ${FIELDS.join(', ')} once, with hyphens`)
      .default('row-rank-bank-column-group-channel')
      .describe('Fields of an address from its highest bits down; below them are the bytes of a burst'),
    controller: z
      .strictObject({
        pagePolicy: z
          .enum(['open', 'closed'])
          .default('open')
          .describe(
            'open: rows stay open until another is needed; closed: they close with the last waiting access to them',
          ),
        readQueue: count.max(256).default(32).describe('Reads that a channel looks at'),
        writeQueue: count.max(256).default(32).describe('Writes that it holds back'),
        writeHigh: count.default(24).describe('Waiting writes at which it turns to writing'),
        writeLow: z.int().min(0).default(8).describe('Waiting writes at which it turns back to reads that wait'),
        starvationCycles: count
          .default(2000)
          .describe('Age at which the oldest request goes before hits of other rows in its bank'),
      })
      .prefault({}),
  })
  .refine(({ organisation: { rowBytes, busBits, burstLength } }) => rowBytes * 8 >= busBits * burstLength, {
    path: ['organisation', 'rowBytes'],
    message: 'a row holds at least one burst',
  })
  .refine(({ organisation: { burstLength }, timing }) => 2 * timing.ccdShort >= burstLength, {
    path: ['timing', 'ccdShort'],
    message: 'bursts must not overlap: at least half the burst length',
  })
  .refine(({ timing }) => timing.refi > timing.rfc + timing.rpAll + timing.ras, {
    path: ['timing', 'refi'],
    message: 'a refresh must fit between two: more than rfc + rpAll + ras',
  })
  .refine(({ controller }) => controller.writeLow < controller.writeHigh, {
    path: ['controller', 'writeLow'],
    message: 'must be below writeHigh',
  })
  .refine(({ controller }) => controller.writeHigh <= controller.writeQueue, {
    path: ['controller', 'writeHigh'],
    message: 'must not exceed writeQueue',
  });

export type DramConfig = z.output<typeof dramSchema>;
export type DramTiming = DramConfig['timing'];

/** Cycles that a burst takes on the data bus: two transfers each. */
export const burstCycles = ({ organisation }: DramConfig): number => Math.max(1, organisation.burstLength / 2);

export const burstBytes = ({ organisation: { busBits, burstLength } }: DramConfig): number =>
  Math.max(1, (busBits * burstLength) / 8);

export function capacityBytes({ organisation }: DramConfig): number {
  const { channels, ranks, bankGroups, banks, rows, rowBytes } = organisation;
  return channels * ranks * bankGroups * banks * rows * rowBytes;
}

/** Peak of all channels, bytes per cycle of the memory's clock. */
export const peakBytesPerCycle = (config: DramConfig): number =>
  (config.organisation.channels * burstBytes(config)) / config.timing.ccdShort;
