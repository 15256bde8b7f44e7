import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TandemError } from '../../src/errors.js';
import { parseTopology } from '../../src/workload/topology.js';

const CONVOLUTION =
  'Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,';

function failure(text: string): TandemError {
  try {
    parseTopology(text, 'net.csv');
  } catch (error) {
    return error as TandemError;
  }
  throw new Error('nothing was thrown');
}

describe('matrix products', () => {
  test.each([
    ['with trailing commas', 'Layer, M, N, K,\nQKT, 128, 256, 64,\n'],
    ['without them', 'Layer,M,N,K\nQKT,128,256,64'],
    ['with odd spaces, blank lines and Windows line ends', '\r\n Layer ,M , N,K ,\r\n\r\n  QKT ,128,  256 ,64,,\r\n'],
    ['with a byte-order mark', '\uFEFFLayer,M,N,K\nQKT,128,256,64'],
    ['with columns in another order', 'Layer name, K, M, N\nQKT, 64, 128, 256'],
    ['with a dense sparsity column', 'Layer, M, N, K, Sparsity\nQKT, 128, 256, 64, 2:2'],
  ])('are read %s', (_how, text) => {
    expect(parseTopology(text, 'net.csv')).toEqual([{ name: 'QKT', m: 128, n: 256, k: 64 }]);
  });

  test('repeat as often as a batch column says', () => {
    expect(parseTopology('Layer,M,N,K,Batch\nheads,4,5,6,2', 'net.csv')).toEqual([
      { name: 'heads[0]', m: 4, n: 5, k: 6 },
      { name: 'heads[1]', m: 4, n: 5, k: 6 },
    ]);
  });

  test('survive being written and read', () => {
    const size = fc.integer({ min: 1, max: 2e5 });
    const layers = fc.array(fc.record({ m: size, n: size, k: size }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(layers, (sizes) => {
        const named = sizes.map((one, index) => ({ name: `layer-${index}`, ...one }));
        const text = ['Layer,M,N,K,', ...named.map(({ name, m, n, k }) => `${name},${m},${n},${k},`)].join('\n');
        expect(parseTopology(text, 'net.csv')).toEqual(named);
      }),
    );
  });
});

describe('convolutions', () => {
  test('become the product of their output pixels, filters and window', () => {
    // The first layer of AlexNet: 55 × 55 outputs of 11 × 11 × 3 windows, 96 filters.
    expect(parseTopology(`${CONVOLUTION}\nConv1, 227, 227, 11, 11, 3, 96, 4,`, 'net.csv')).toEqual([
      { name: 'Conv1', m: 55 * 55, n: 96, k: 11 * 11 * 3 },
    ]);
  });

  test('round a last, incomplete stride up: (8 − 3 + 2) / 2 is 4 outputs a side', () => {
    expect(parseTopology(`${CONVOLUTION}\nC, 8, 8, 3, 3, 1, 1, 2,`, 'net.csv')[0]).toMatchObject({ m: 16 });
  });

  test('may give a stride per side', () => {
    const header = CONVOLUTION.replace('Strides', 'Stride height, Stride width');
    expect(parseTopology(`${header}\nC, 9, 9, 3, 3, 2, 5, 2, 3,`, 'net.csv')).toEqual([
      { name: 'C', m: 4 * 3, n: 5, k: 18 },
    ]);
  });

  test('are taken channel by channel when depth-wise', () => {
    expect(parseTopology(`${CONVOLUTION}\nConv2_DP, 5, 5, 3, 3, 2, 1, 1,`, 'net.csv')).toEqual([
      { name: 'Conv2_DPChannel_0', m: 9, n: 1, k: 9 },
      { name: 'Conv2_DPChannel_1', m: 9, n: 1, k: 9 },
    ]);
  });
});

describe('a mistake names its line', () => {
  test.each([
    ['', 'net.csv:1', /empty/],
    ['name,rows,columns\nx,1,2', 'net.csv:1', /not understood/],
    ['Layer,M,N,K\n', 'net.csv:1', /no layers/],
    ['Layer,M,N,K\na,1,2,3\nb,1,2\n', 'net.csv:3', /no K/],
    ['Layer,M,N,K\n\na,1,0,3', 'net.csv:3', /N is "0"/],
    ['Layer,M,N,K\na,1,-2,3', 'net.csv:2', /N is "-2"/],
    ['Layer,M,N,K\na,1.5,2,3', 'net.csv:2', /M is "1.5"/],
    ['Layer,M,N,K\na,300000,300000,300000', 'net.csv:2', /more than 2⁵³/],
    ['Layer,M,N,K,Batch\na,1,2,3,1000000000', 'net.csv:2', /BATCH makes 1000000000 products/],
    [`${CONVOLUTION}\nDP, 8, 8, 3, 3, 1000000000, 1, 1,`, 'net.csv:2', /CHANNELS makes/],
    ['Layer,M,N,K\na,1,2,3,4', 'net.csv:2', /5 values/],
    ['Layer,M,N,K,Sparsity\na,1,2,3,2:4', 'net.csv:2', /sparse/],
    [`${CONVOLUTION}\nC, 2, 8, 3, 3, 1, 1, 1,`, 'net.csv:2', /height 3 exceeds/],
  ])('%j', (text, place, message) => {
    const error = failure(text);
    expect(error.code).toBe('TANDEM_WORKLOAD_INVALID');
    expect(error.place).toBe(place);
    expect(error.message).toMatch(message);
    expect(error.remedy).toBeTruthy();
  });
});
