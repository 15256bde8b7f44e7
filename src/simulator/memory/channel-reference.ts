/**
 * The scheduler of `channel.ts` cycle by cycle: in each cycle requests enter, then commands go, the most urgent that
 * `command-checker.ts` lets through first. Nothing is remembered but the queues and the log.
 */
import { CommandChecker } from './command-checker.js';
import type { Command } from './commands.js';
import type { DramConfig } from './dram-config.js';
import type { Request } from './request-queue.js';

interface Entry extends Request {
  readonly request: number;
  readonly entered: number;
}

export function referenceLog(config: DramConfig, requests: readonly Request[]): Command[] {
  const { controller, organisation, timing } = config;
  const banksPerRank = organisation.bankGroups * organisation.banks;
  const checker = new CommandChecker(config);
  const log: Command[] = [];
  const due = Array.from({ length: organisation.ranks }, (_, rank) =>
    Math.ceil((timing.refi * (rank + 1)) / organisation.ranks),
  );
  let [reads, writes]: [Entry[], Entry[]] = [[], []];
  let [writing, drained, owed, next] = [false, 0, 0, 0];
  const old = ({ entered }: Entry, time: number) => time >= entered + controller.starvationCycles;

  const enter = (time: number) => {
    for (; next < requests.length; next++) {
      const request = requests[next]!;
      if (request.arrival > time) return;
      const same = (other: Entry) =>
        other.bank === request.bank && other.row === request.row && other.column === request.column;
      if (writes.some(same)) continue;
      if (
        request.write
          ? reads.some(same) || writes.length >= controller.writeQueue
          : reads.length >= controller.readQueue
      )
        return;
      (request.write ? writes : reads).push({ ...request, request: next, entered: time });
    }
  };

  const turn = (time: number) => {
    const full = drained >= controller.writeQueue;
    if (writing && (writes.length === 0 || (reads.length > 0 && (writes.length <= controller.writeLow || full)))) {
      writing = false;
      owed = full ? reads.length : 0;
    }
    if (writing || writes.length === 0) return;
    const urgent = writes.length >= controller.writeHigh || old(writes[0]!, time);
    if (reads.length === 0 || (owed <= 0 && urgent)) {
      writing = true;
      drained = 0;
    }
  };

  /** Commands that would be of use, the most urgent first. */
  const wanted = (time: number): Command[] => {
    const refreshes = due.flatMap((when, rank): Command[] => {
      if (when > time) return [];
      const banks = Array.from({ length: banksPerRank }, (_, i) => rank * banksPerRank + i);
      const isOpen = banks.some((bank) => checker.openRow(bank) !== undefined);
      return [{ time, kind: isOpen ? 'PREA' : 'REF', rank }];
    });
    const queue = writing ? writes : reads;
    const free = queue.filter(({ bank }) => due[Math.floor(bank / banksPerRank)]! > time);
    const commands = free.map((entry): Command => {
      const { bank, row, request } = entry;
      const rank = Math.floor(bank / banksPerRank);
      const open = checker.openRow(bank);
      if (open === row) {
        const others = [...reads, ...writes].some((one) => one !== entry && one.bank === bank && one.row === row);
        const closes = controller.pagePolicy === 'closed' && !others;
        return { time, kind: entry.write ? (closes ? 'WRA' : 'WR') : closes ? 'RDA' : 'RD', rank, bank, row, request };
      }
      return { time, kind: open === undefined ? 'ACT' : 'PRE', rank, bank, row, request };
    });
    const starved = queue[0] !== undefined && old(queue[0], time) ? queue[0] : undefined;
    const useful = commands.filter(({ kind, bank, request }) => {
      if (starved?.bank === bank) return request === starved!.request;
      // Rows stay open for those that wait for them.
      return kind !== 'PRE' || !queue.some((one) => one.bank === bank && one.row === checker.openRow(bank));
    });
    const isColumn = ({ kind }: Command) => kind.startsWith('RD') || kind.startsWith('WR');
    return [...refreshes, ...useful.filter(isColumn), ...useful.filter((command) => !isColumn(command))];
  };

  const issue = (command: Command) => {
    checker.add(command);
    log.push(command);
    const { kind, rank, request } = command;
    if (kind === 'REF') due[rank]! += timing.refi;
    if (!kind.startsWith('RD') && !kind.startsWith('WR')) return;
    if (kind.startsWith('WR')) drained++;
    else owed--;
    reads = reads.filter((one) => one.request !== request);
    writes = writes.filter((one) => one.request !== request);
  };

  for (let time = 0; next < requests.length || reads.length + writes.length > 0; time++) {
    enter(time);
    for (;;) {
      if (next >= requests.length && reads.length + writes.length === 0) break;
      turn(time);
      const legal = wanted(time).find((command) => checker.violation(command) === undefined);
      if (legal === undefined) break;
      issue(legal);
    }
  }
  return log;
}
