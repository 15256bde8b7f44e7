import { Command } from 'commander';
import type { CliContext } from '../context.js';
import { decoderWidthsText } from '../decoder-widths-results.js';
import { decodingText } from '../decoding-results.js';
import { loadDecoderWidths, loadDecoding, loadPipeline } from '../pipeline.js';
import { infeasibilities, runText } from '../results.js';
import { inRunFolder, type RunOptions, runCommandOptions } from '../runs.js';

export function runCommand(context: CliContext): Command {
  return runCommandOptions(
    new Command('run').description(
      'Run an experiment: train, adapt, trace, simulate, report. Everything goes into one folder.',
    ),
  ).action(async (file: string | undefined, options: RunOptions) => {
    await inRunFolder(context, 'run', file, options, async (loaded, folder) => {
      if (loaded.kind === 'decoding') {
        const { runDecoding } = await loadDecoding();
        const result = await runDecoding(loaded, folder, { progress: context.progress, signal: context.signal });
        context.progress.stop();
        context.stdout.write(decodingText(result, folder.path, options.format));
        context.report(infeasibilities(result.machines), options.format);
        return;
      }
      if (loaded.kind === 'decoder-widths') {
        const { runDecoderWidths } = await loadDecoderWidths();
        const result = await runDecoderWidths(loaded, folder, { progress: context.progress, signal: context.signal });
        context.progress.stop();
        context.stdout.write(decoderWidthsText(result, folder.path, options.format));
        context.report(infeasibilities(result.machines), options.format);
        return;
      }
      const { runExperiment } = await loadPipeline();
      const result = await runExperiment(loaded, folder, { progress: context.progress, signal: context.signal });
      context.progress.stop();
      context.stdout.write(runText(result, folder.path, options.format));
      context.report(infeasibilities(result.machines), options.format);
    });
  });
}
