/**
 * Model dictionaries as the AccelTran simulator reads them, in JSON: `l` layers, and for each layer `o` the heads,
 * `h` the hidden size and `f` the widths of the feed-forward stacks. A head is its operation and its width:
 * sa_sdp_64, sa_wma_64, l_dft_64, l_dct_64, or c_5_64 for a convolution with a kernel of 5.
 *
 *     { "l": 1, "o": [["sa_sdp_64", "c_5_64"]], "h": [128], "f": [[512]] }
 *
 * Runs in a browser.
 */
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { nearest, type Path } from '../settings/schema-walk.js';
import { validateSettings } from '../settings/validate.js';
import { parseYaml, type YamlFile } from '../settings/yaml.js';
import { HEAD_COUNTS, HEAD_TYPES, type HeadType, headOperation, headType, headWidth } from './flexibert.js';
import { TOKENS, VOCABULARY } from './named-transformers.js';
import type { HeadOperation, TransformerArchitecture } from './transformer.js';

const size = z.int().positive().max(1_000_000);
const schema = z.strictObject({
  l: size.max(1000).describe('number of layers'),
  o: z.array(z.array(z.string()).min(1)).describe('for each layer its heads, e.g. ["sa_sdp_64", "sa_sdp_64"]'),
  h: z.array(size).describe('for each layer its hidden size'),
  f: z.array(z.array(size).min(1)).describe('for each layer the widths of its feed-forward stacks, e.g. [512]'),
});
export type ModelDictionary = z.infer<typeof schema>;

/**
 * The heads of a layer must share its width: each has ⌊hidden / heads⌋, without a rest unless FlexiBERT has that many heads
 * (12 heads in 512). Entries beyond the first `l` are not read. The vocabulary and the number of tokens, which a
 * dictionary does not hold, are BERT's 30,522 and the 128 that the simulator assumes.
 * @param file shown in errors; its name without folder and ending names the architecture
 * @throws TANDEM_CONFIG_SYNTAX where the text is not JSON; TANDEM_CONFIG_INVALID and TANDEM_UNKNOWN_SETTING for settings
 *   of another type or name; TANDEM_WORKLOAD_INVALID for sizes that contradict each other. With line and column.
 */
export function parseModelDictionary(text: string, file: string): TransformerArchitecture {
  requireJson(text, file);
  const source = parseYaml(new TextEncoder().encode(text), file);
  const { l, o, h, f } = validateSettings(schema, source.value, source);
  for (const [key, list] of Object.entries({ o, h, f })) {
    // The published simulator takes the first l entries; its own "nano" dictionary has more.
    if (list.length >= l) continue;
    throw invalid(
      `"${key}" has ${list.length} ${list.length === 1 ? 'layer' : 'layers'}, but "l" is ${l}.`,
      source.place([key]),
      `Give "${key}" one entry for each layer, or set "l" to the number of layers.`,
    );
  }
  const layers = o.slice(0, l).map((heads, layer) => ({
    hidden: h[layer]!,
    heads: heads.map((_, head) => readHead(source, heads, ['o', layer, head], h[layer]!)),
    feedForward: f[layer]!,
  }));
  const name = file.replace(/^.*[/\\]/, '').replace(/\.json$/i, '');
  return { name, layers, vocabulary: VOCABULARY, tokens: TOKENS };
}

/** JSON that Tandem's dictionaries and the published ones share; inverse of parseModelDictionary but for the name. */
export function formatModelDictionary({ layers }: TransformerArchitecture): string {
  const dictionary: ModelDictionary = {
    l: layers.length,
    o: layers.map(({ heads }) => heads.map((head) => `${headType(head)}_${head.dim}`)),
    h: layers.map(({ hidden }) => hidden),
    f: layers.map(({ feedForward }) => [...feedForward]),
  };
  return `${JSON.stringify(dictionary)}\n`;
}

/** The YAML reader, which knows places, takes more than JSON; the simulators that share these files do not. */
function requireJson(text: string, file: string): void {
  try {
    JSON.parse(text);
  } catch (cause) {
    // The engine says where in long texts, and that a text ends early; for short ones the file must do.
    const offset = /position (\d+)/.exec((cause as Error).message)?.[1];
    const before = text.slice(0, Number(offset)).split('\n');
    throw new TandemError('TANDEM_CONFIG_SYNTAX', 'The model dictionary is not JSON.', {
      place: offset === undefined ? file : `${file}:${before.length}:${before.at(-1)!.length + 1}`,
      remedy: 'Write it as { "l": 1, "o": [["sa_sdp_64", "sa_sdp_64"]], "h": [128], "f": [[512]] }.',
      cause,
    });
  }
}

function readHead(source: YamlFile, heads: readonly string[], path: Path, hidden: number): HeadOperation {
  const text = heads[Number(path[2])]!;
  const [, type, width] = /^(sa_sdp|sa_wma|l_dft|l_dct|c_[1-9]\d{0,3})_(\d{1,7})$/.exec(text) ?? [];
  if (type === undefined) {
    const guess = nearest(text.replace(/_\d+$/, ''), HEAD_TYPES);
    throw invalid(
      `There is no head "${text}".`,
      source.place(path),
      `${guess ? `Did you mean "${guess}_${headWidth(hidden, heads.length)}"? ` : ''}Use sa_sdp_d, sa_wma_d, l_dft_d, l_dct_d or c_k_d, with head width d and kernel k.`,
    );
  }
  const dim = headWidth(hidden, heads.length);
  if (dim === 0) {
    const message = `${heads.length} heads do not fit a hidden size of ${hidden}.`;
    throw invalid(message, source.place(path.slice(0, 2)), 'Give the layer fewer heads, or a larger hidden size.');
  }
  if (hidden % heads.length !== 0 && !(HEAD_COUNTS as readonly number[]).includes(heads.length)) {
    const message = `${heads.length} heads do not divide a hidden size of ${hidden}.`;
    throw invalid(message, source.place(path.slice(0, 2)), 'Change the number of heads or "h".');
  }
  if (Number(width) !== dim) {
    throw invalid(
      `The head "${text}" has width ${width}; ${heads.length} heads share a hidden size of ${hidden}: ${dim} each.`,
      source.place(path),
      `Write "${type}_${dim}", or change the number of heads or "h".`,
    );
  }
  return headOperation(type as HeadType, dim);
}

const invalid = (message: string, place: string, remedy: string): TandemError =>
  new TandemError('TANDEM_WORKLOAD_INVALID', message, { place, remedy });
