/** Early exit in traces: the header's note that says how exits were decided, and what exits must be like. */
import { TandemError } from '../errors.js';
import type { TokenExitsRecord, TraceHeader } from './types.js';

/** Key of TraceHeader.notes that holds the ExitChecks as JSON. */
export const TOEX_NOTE = 'toex';

export interface ExitChecks {
  /** Layers after which a step may exit, ascending, 1 … L − 1; after the last layer it always does. */
  readonly checks: readonly number[];
  /** Rows of the output embedding that a check computes exact logits for. */
  readonly candidates: number;
}

/** @throws TANDEM_TRACE_INCONSISTENT when the note is missing or says what cannot be */
export function exitChecks({ layers, notes }: Pick<TraceHeader, 'layers' | 'notes'>): ExitChecks {
  const note = notes[TOEX_NOTE];
  if (note === undefined) throw wrongNote('is missing');
  let value: unknown;
  try {
    value = JSON.parse(note);
  } catch (cause) {
    throw wrongNote('is not JSON', cause);
  }
  const { checks, candidates } = (value ?? {}) as Partial<ExitChecks>;
  if (!Number.isInteger(candidates) || candidates! < 1) throw wrongNote('has no number of candidates');
  const ascending = (layer: number, at: number) =>
    Number.isInteger(layer) && layer > (at === 0 ? 0 : checks![at - 1]!) && layer < layers;
  if (!Array.isArray(checks) || !checks.every(ascending))
    throw wrongNote(`must have checks after layers 1 … ${layers - 1}, in ascending order`);
  return { checks, candidates: candidates! };
}

/** @throws TANDEM_TRACE_INCONSISTENT for exits that a decoder with these checks cannot have */
export function checkExits(
  { sequence, layers, prompt, exits }: TokenExitsRecord,
  modelLayers: number,
  checks: readonly number[],
): void {
  const wrong = (message: string) =>
    new TandemError('TANDEM_TRACE_INCONSISTENT', message, {
      place: `token exits of sequence ${sequence}`,
      remedy: 'Record the trace again; docs/trace-format.md says what exits mean.',
    });
  if (layers !== modelLayers)
    throw wrong(`The record speaks of ${layers} layers, the trace's header of ${modelLayers}.`);
  if (prompt < 1 || prompt > exits.length)
    throw wrong(`There are ${exits.length} tokens, of which the first ${prompt} are said to be the prompt.`);
  for (const [token, exit] of exits.entries()) {
    if (exit < 1 || exit > layers) throw wrong(`Token ${token} ran ${exit} of ${layers} layers.`);
    if (token < prompt && exit !== exits[0])
      throw wrong(
        `Tokens of the prompt run together, but token ${token} ran ${exit} layers and token 0 ran ${exits[0]}.`,
      );
    if (exit < layers && !checks.includes(exit))
      throw wrong(`Token ${token} left after layer ${exit}, where no check is made.`);
  }
}

const wrongNote = (what: string, cause?: unknown): TandemError =>
  new TandemError('TANDEM_TRACE_INCONSISTENT', `The note "${TOEX_NOTE}" of the trace's header ${what}.`, {
    remedy: 'Record the trace with early exit; docs/trace-format.md says what the note holds.',
    ...(cause === undefined ? {} : { cause }),
  });
