import * as ort from 'onnxruntime-node';
import { TandemError } from '../errors.js';

/** Execution providers that the installed ONNX Runtime knows, whether or not this computer has the device. */
export const offeredProviders = (): string[] => ort.listSupportedBackends().map(({ name }) => name);

/** @throws TANDEM_PROVIDER_UNAVAILABLE */
export function checkProviders(wanted: readonly string[]): void {
  const offered = offeredProviders();
  if (wanted.length === 0) {
    throw new TandemError('TANDEM_PROVIDER_UNAVAILABLE', 'No execution provider is named.', {
      remedy: `Name at least one of: ${offered.join(', ')}.`,
    });
  }
  for (const name of wanted) if (!offered.includes(name)) throw unavailable(name);
}

export function unavailable(name: string, cause?: unknown): TandemError {
  const why = cause === undefined ? 'is not offered by' : 'could not be started by';
  return new TandemError(
    'TANDEM_PROVIDER_UNAVAILABLE',
    `The execution provider "${name}" ${why} the installed ONNX Runtime.`,
    {
      place: 'executionProviders',
      remedy: `ONNX Runtime here knows: ${offeredProviders().join(', ')}. "cpu" always works; the others need their device and driver.`,
      cause,
    },
  );
}
