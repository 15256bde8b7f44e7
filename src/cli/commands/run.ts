import { Command } from 'commander';
import type { RunResult } from '../../experiment/result.js';
import type { TableFormat } from '../../report/tables.js';
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
      const running = { progress: context.progress, signal: context.signal };
      const show = <Result extends Pick<RunResult, 'machines'>>(result: Result, text: ResultText<Result>) => {
        context.progress.stop();
        context.stdout.write(text(result, folder.path, options.format));
        context.report(infeasibilities(result.machines), options.format);
      };
      if (loaded.kind === 'decoding') {
        const { runDecoding } = await loadDecoding();
        return show(await runDecoding(loaded, folder, running), decodingText);
      }
      if (loaded.kind === 'decoder-widths') {
        const { runDecoderWidths } = await loadDecoderWidths();
        return show(await runDecoderWidths(loaded, folder, running), decoderWidthsText);
      }
      const { runExperiment } = await loadPipeline();
      show(await runExperiment(loaded, folder, running), runText);
    });
  });
}

type ResultText<Result> = (result: Result, folder: string, format: TableFormat) => string;
