/**
 * Layer lists as SCALE-Sim writes them: a header line, then one layer per line, values separated by commas, a comma at
 * the end of the line or not. Two kinds, told apart by the header:
 *
 *     Layer, M, N, K,
 *     Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
 *
 * A convolution becomes the matrix product that image-to-column makes of it, without padding: M output pixels, K values
 * under the filter, N filters. A convolution with "DP" in its name is depth-wise: one product per channel.
 */
import { TandemError } from '../errors.js';
import type { GemmLayer } from './types.js';

interface Row {
  readonly line: number;
  readonly cells: readonly string[];
}

/** What a reader needs of a line: its named columns, and where it is. */
interface Fields {
  readonly place: string;
  readonly name: string;
  get(column: string): string | undefined;
  natural(column: string): number;
}

type Sizes = Omit<GemmLayer, 'name'>;

/** What a line becomes: as many equal products as there are names. */
interface Products {
  readonly layer: Sizes;
  readonly names: readonly string[];
}

const CONVOLUTION_COLUMNS = [
  'layer name',
  'ifmap height',
  'ifmap width',
  'filter height',
  'filter width',
  'channels',
  'num filter',
];

/**
 * @param file name shown in errors
 * @throws TANDEM_WORKLOAD_INVALID with file and line
 */
export function parseTopology(text: string, file: string): GemmLayer[] {
  const [header, ...rows] = split(text);
  if (!header) {
    throw new TandemError('TANDEM_WORKLOAD_INVALID', 'The layer list is empty.', {
      place: `${file}:1`,
      remedy: 'Start with the header "Layer, M, N, K" and give one layer per line.',
    });
  }
  const columns = header.cells.map((cell) => cell.toLowerCase().replace(/[\s_]+/g, ' '));
  const has = (...names: string[]) => names.every((name) => columns.includes(name));
  const gemm = has('m', 'n', 'k');
  if (!gemm && !(has(...CONVOLUTION_COLUMNS.slice(1)) && columns.some((column) => column.startsWith('stride')))) {
    throw new TandemError('TANDEM_WORKLOAD_INVALID', `The header "${header.cells.join(', ')}" is not understood.`, {
      place: `${file}:${header.line}`,
      remedy: `Use "Layer, M, N, K" for matrix products, or "${CONVOLUTION_COLUMNS.join(', ')}, strides" for convolutions.`,
    });
  }
  if (rows.length === 0) {
    throw new TandemError('TANDEM_WORKLOAD_INVALID', 'The layer list has a header but no layers.', {
      place: `${file}:${header.line}`,
      remedy: 'Give one layer per line below the header.',
    });
  }
  return rows.flatMap((row) => {
    const fields = fieldsOf(row, columns, file);
    rejectSparsity(fields);
    const { layer, names } = gemm ? product(fields) : convolution(fields);
    rejectInexact(layer, names.length, fields.place);
    return names.map((name) => ({ name, ...layer }));
  });
}

/** Counts are float64: beyond 2⁵³ they would be wrong without a word. */
function rejectInexact({ m, n, k }: Sizes, times: number, place: string): void {
  if (m * n * k * times <= Number.MAX_SAFE_INTEGER) return;
  throw new TandemError('TANDEM_WORKLOAD_INVALID', 'The layer has more than 2⁵³ multiply-accumulates.', {
    place,
    remedy: 'Give smaller sizes: beyond that, counts are not exact.',
  });
}

function split(text: string): Row[] {
  const rows: Row[] = [];
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\r|\n/)
    .entries()) {
    const cells = raw.split(',').map((cell) => cell.trim());
    while (cells.length > 0 && cells[cells.length - 1] === '') cells.pop();
    if (cells.length > 0) rows.push({ line: index + 1, cells });
  }
  return rows;
}

function fieldsOf({ line, cells }: Row, columns: readonly string[], file: string): Fields {
  const place = `${file}:${line}`;
  if (cells.length > columns.length) {
    throw new TandemError(
      'TANDEM_WORKLOAD_INVALID',
      `The line has ${cells.length} values for the header's ${columns.length} columns.`,
      { place, remedy: 'Remove the extra values, or name their columns in the header.' },
    );
  }
  const get = (column: string) => cells[columns.indexOf(column)];
  return {
    place,
    name: cells[0]!,
    get,
    natural(column) {
      const text = get(column) ?? '';
      const value = Number(text);
      if (/^\d+$/.test(text) && value > 0 && Number.isSafeInteger(value)) return value;
      throw new TandemError(
        'TANDEM_WORKLOAD_INVALID',
        text === '' ? `The layer has no ${column.toUpperCase()}.` : `${column.toUpperCase()} is "${text}".`,
        { place, remedy: 'Give a positive whole number.' },
      );
    },
  };
}

/** N:M sparsity would shorten the streams; the dense array here does not do that, so it must not be passed over. */
function rejectSparsity(fields: Fields): void {
  const ratio = fields.get('sparsity') ?? fields.get('sparsity ratio') ?? '1:1';
  const [some, of] = ratio.split(':').map((part) => part.trim());
  if (some !== of) {
    throw new TandemError('TANDEM_WORKLOAD_INVALID', `The layer is sparse (${ratio}).`, {
      place: fields.place,
      remedy: 'Only dense layers are read from a layer list: use 1:1.',
    });
  }
}

function product(fields: Fields): Products {
  const layer = { m: fields.natural('m'), n: fields.natural('n'), k: fields.natural('k') };
  const batch = fields.get('batch') === undefined ? 1 : fields.natural('batch');
  if (batch === 1) return { layer, names: [fields.name] };
  return { layer, names: numbered(batch, 'batch', fields.place, (index) => `${fields.name}[${index}]`) };
}

/** Every one of them is a row of the result. */
const MOST_PRODUCTS = 100_000;

function numbered(length: number, column: string, place: string, name: (index: number) => string): string[] {
  if (length <= MOST_PRODUCTS) return Array.from({ length }, (_, index) => name(index));
  throw new TandemError('TANDEM_WORKLOAD_INVALID', `${column.toUpperCase()} makes ${length} products of one layer.`, {
    place,
    remedy: `Give at most ${MOST_PRODUCTS}.`,
  });
}

function convolution(fields: Fields): Products {
  const [strideHeight, strideWidth] = strides(fields);
  const outputs = (side: 'height' | 'width', stride: number) => {
    const [input, filter] = [fields.natural(`ifmap ${side}`), fields.natural(`filter ${side}`)];
    if (filter > input) {
      throw new TandemError('TANDEM_WORKLOAD_INVALID', `The filter's ${side} ${filter} exceeds the input's ${input}.`, {
        place: fields.place,
        remedy: 'Count padding into the input size.',
      });
    }
    return Math.ceil((input - filter + stride) / stride);
  };
  const m = outputs('height', strideHeight) * outputs('width', strideWidth);
  const window = fields.natural('filter height') * fields.natural('filter width');
  const channels = fields.natural('channels');
  const n = fields.natural('num filter');
  if (!fields.name.includes('DP')) return { layer: { m, n, k: window * channels }, names: [fields.name] };
  const names = numbered(channels, 'channels', fields.place, (channel) => `${fields.name}Channel_${channel}`);
  return { layer: { m, n, k: window }, names };
}

function strides(fields: Fields): [number, number] {
  if (fields.get('stride height') !== undefined) {
    return [fields.natural('stride height'), fields.natural('stride width')];
  }
  const column = ['strides', 'stride'].find((name) => fields.get(name) !== undefined) ?? 'strides';
  const stride = fields.natural(column);
  return [stride, stride];
}
