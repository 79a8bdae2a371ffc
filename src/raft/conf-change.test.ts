/** Changes of membership: upstream's traces, and what holds for any sequence of changes. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type ConfChangeSingle, ConfChangeType } from '#api-etcd/gen/raft.ts';
import { listTraces, runTrace, type TraceStep } from '#testkit/trace.ts';
import { ConfChangeError, changeSimply, enterJoint, leaveJoint } from './conf-change.ts';
import {
  type Configuration,
  checkConfiguration,
  configurationOf,
  confStateOf,
  describeConfiguration,
  emptyConfiguration,
  isJoint,
} from './configuration.ts';
import { describeProgress } from './progress.ts';
import { Tracker } from './tracker.ts';

const folder = `${process.env['WHERRY_FIXTURES'] ?? '../shared/fixtures'}/raft/confchange/testdata`;

describe("upstream's traces of changes", { skip: existsSync(folder) ? false : 'no fixtures' }, () => {
  for (const name of existsSync(folder) ? listTraces(folder) : [])
    test(name, () => {
      const tracker = new Tracker(10, Infinity);
      // Every command counts as an entry, so that `next` shows when a member came.
      let lastIndex = 0;
      runTrace(folder, name, (step) => {
        try {
          tracker.configure(change(tracker.configuration, step), lastIndex);
        } catch (error) {
          if (error instanceof ConfChangeError) return error.message;
          throw error;
        } finally {
          lastIndex++;
        }
        const members = tracker.members.map(([id, progress]) => `${id}: ${describeProgress(progress)}`);
        return [describeConfiguration(tracker.configuration), ...members].join('\n');
      });
    });
});

function change(configuration: Configuration, step: TraceStep): Configuration {
  const changes = step.input.split(/\s+/).filter(Boolean).map(parseChange);
  switch (step.command) {
    case 'simple':
      return changeSimply(configuration, changes);
    case 'enter-joint': {
      const autoLeave = step.arguments.some(({ key, values }) => key === 'autoleave' && values[0] === 'true');
      return enterJoint(configuration, autoLeave, changes);
    }
    case 'leave-joint':
      return leaveJoint(configuration);
    default:
      throw new Error(`${step.at}: unknown command`);
  }
}

const letters: Readonly<Record<string, ConfChangeType>> = {
  v: ConfChangeType.ConfChangeAddNode,
  l: ConfChangeType.ConfChangeAddLearnerNode,
  r: ConfChangeType.ConfChangeRemoveNode,
  u: ConfChangeType.ConfChangeUpdateNode,
};

function parseChange(word: string): ConfChangeSingle {
  return { type: letters[word[0]!]!, nodeId: BigInt(word.slice(1)) };
}

const changes = fc.array(
  fc
    .tuple(fc.constantFrom(...Object.keys(letters)), fc.integer({ min: 0, max: 5 }))
    .map(([letter, id]) => `${letter}${id}`),
  { maxLength: 4 },
);
const steps = fc.array(fc.tuple(fc.constantFrom('simple', 'enter-joint', 'leave-joint'), changes), { maxLength: 12 });

test('whatever is asked for, the next configuration holds together and survives a snapshot', () => {
  fc.assert(
    fc.property(steps, (asked) => {
      let configuration = changeSimply(emptyConfiguration, [parseChange('v1')]);
      for (const [command, words] of asked) {
        try {
          const step: TraceStep = { at: '', command, arguments: [], input: words.join(' '), expected: '' };
          configuration = change(configuration, step);
        } catch (error) {
          if (!(error instanceof ConfChangeError)) throw error;
        }
        checkConfiguration(configuration);
        assert.ok(configuration.incoming.length > 0);
        assert.deepEqual(configurationOf(confStateOf(configuration)), configuration);
      }
    }),
  );
});

test('a change done jointly ends where changes one by one end', () => {
  fc.assert(
    fc.property(changes, (words) => {
      const start = changeSimply(emptyConfiguration, [parseChange('v1')]);
      let simple = start;
      let joint = start;
      try {
        for (const word of words) simple = changeSimply(simple, [parseChange(word)]);
        joint = enterJoint(start, false, words.map(parseChange));
        assert.ok(isJoint(joint));
        joint = leaveJoint(joint);
      } catch (error) {
        // One by one, or all together, the last voter would go.
        assert.match((error as Error).message, /removed all voters/);
        return;
      }
      assert.deepEqual(joint, simple);
    }),
  );
});
