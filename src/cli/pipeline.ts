/** The pipeline is loaded by the commands that need it: the runtime behind it takes a while, and `--help` must not. */
import type { Pipeline } from '../experiment/api.js';

export async function loadPipeline(): Promise<Pipeline> {
  return (await import(new URL('../experiment/run.js', import.meta.url).href)) as Pipeline;
}
