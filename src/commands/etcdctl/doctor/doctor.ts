/**
 * `etcdctl doctor`: everything that an operator looks at when something feels wrong, of every member, in one go, with what to type next. It changes
 * nothing. Upstream has no such command.
 */
import { systemClock } from '#host/clock.ts';
import { durationMs } from '../../flags.ts';
import { EtcdctlExit, type Verb, wrong } from '../session.ts';
import { collect } from './collect.ts';
import { checkNames, diagnose } from './diagnose.ts';
import { refuseFormat, textOf } from './print.ts';
import { thresholdFlags, thresholdsOf } from './thresholds.ts';

export const doctor: Verb = {
  flags: {
    'backup-dir': { kind: 'string', usage: 'folder of backups: of "backup run", of "snapshot save", or both' },
    interval: { kind: 'string', usage: 'between two looks at what changes: counters, lag, watchers', default: '1s' },
    skip: { kind: 'string', usage: 'names of checks that are not wanted, with commas between them', default: '' },
    ...thresholdFlags,
  },
  async run(session) {
    const { args, flags, format, context } = session;
    if (args.length > 0) throw wrong('doctor takes no arguments');
    refuseFormat(format);
    const thresholds = thresholdsOf(flags);
    const left = new Set(
      flags
        .string('skip')!
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== ''),
    );
    for (const name of left)
      if (!checkNames.includes(name))
        throw wrong(`--skip: no check ${JSON.stringify(name)}, but ${checkNames.join(', ')}`);
    const folder = flags.string('backup-dir');
    if (folder === '') throw wrong('empty string is passed to --backup-dir option');
    const facts = await collect(session, {
      clock: systemClock,
      intervalMs: durationMs(flags.string('interval')!, 'interval'),
      left,
      backupFolder: folder,
    });
    const diagnosis = diagnose(facts, thresholds, left);
    context.stdout.write(textOf(format, diagnosis, facts));
    // What fails has been said.
    if (diagnosis.result === 'FAIL') throw wrong('', EtcdctlExit.error);
  },
};
