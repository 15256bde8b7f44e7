/**
 * Requests to memory as text, one a line: `0xADDRESS READ|WRITE CYCLE`, as DRAMsim3 reads them. Addresses are in bytes and
 * hexadecimal, with or without `0x`; cycles are decimal, of the memory's clock, and never fall. Empty lines are skipped.
 */
import { TandemError } from '../errors.js';

export interface MemoryRequest {
  /** In bytes; the burst that holds this byte is meant. */
  readonly address: number;
  readonly write: boolean;
  /** Cycle of the memory's clock at which it is made. */
  readonly cycle: number;
}

const LINE = /^\s*(?:0x)?([0-9a-f]+)\s+(read|write)\s+([0-9]+)\s*$/i;
/** No line of a request is longer: what is belongs to another kind of file. */
const LONGEST_LINE = 256;

/**
 * Reads a file piece by piece, so that one larger than memory can be played; yields the requests of each piece.
 * @param file name shown in errors
 * @param capacityBytes addresses must lie below it
 * @throws TANDEM_WORKLOAD_INVALID with file and line
 */
export async function* parseRequests(
  pieces: AsyncIterable<Uint8Array>,
  file: string,
  capacityBytes = Number.POSITIVE_INFINITY,
): AsyncGenerator<readonly MemoryRequest[]> {
  const reader = new RequestReader(file, capacityBytes);
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of pieces) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop()!;
    const requests = lines.flatMap((line) => reader.read(line) ?? []);
    if (requests.length > 0) yield requests;
    if (rest.length > LONGEST_LINE) reader.read(rest);
  }
  const last = reader.read(rest + decoder.decode());
  if (last !== undefined) yield [last];
  if (reader.requests === 0) throw reader.invalid('The file holds no request.', 'Give it a line for each.', file);
}

class RequestReader {
  requests = 0;
  #line = 0;
  #cycle = 0;

  constructor(
    readonly file: string,
    readonly capacityBytes: number,
  ) {}

  read(text: string): MemoryRequest | undefined {
    this.#line++;
    if (text.trim() === '') return undefined;
    const parts = text.length > LONGEST_LINE ? null : LINE.exec(text);
    if (parts === null) {
      throw this.invalid(
        `"${text.trim().slice(0, 60)}" is not a request.`,
        'Write an address, READ or WRITE, and a cycle: 0x1F40 READ 12.',
      );
    }
    const [, digits, operation, decimal] = parts;
    const [address, cycle] = [Number.parseInt(digits!, 16), Number(decimal)];
    if (!(address < this.capacityBytes)) {
      throw this.invalid(
        `Address 0x${digits} lies beyond the memory's ${this.capacityBytes} bytes.`,
        'Use a memory with more rows, ranks or channels, or addresses that begin at 0.',
      );
    }
    if (!Number.isSafeInteger(address) || !Number.isSafeInteger(cycle)) {
      throw this.invalid('A number is beyond 2^53.', 'Let addresses and cycles begin at 0.');
    }
    if (cycle < this.#cycle) {
      throw this.invalid(
        `Cycle ${cycle} comes after cycle ${this.#cycle}.`,
        'Sort the requests by cycle, the last number of a line.',
      );
    }
    this.#cycle = cycle;
    this.requests++;
    return { address, write: operation!.toLowerCase() === 'write', cycle };
  }

  invalid(message: string, remedy: string, place = `${this.file}:${this.#line}`): TandemError {
    return new TandemError('TANDEM_WORKLOAD_INVALID', message, { place, remedy });
  }
}
