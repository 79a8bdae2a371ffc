/** What a namespace says about its deletion. Pure; upstream's types, reasons and messages. */
import { formatTime } from '#kube-client/time.ts';
import type { Condition } from '#kube-client/types/meta.ts';

/** What one pass over a namespace's content found. */
export interface DeletionReport {
  readonly discoveryFailure?: string;
  readonly contentFailures: readonly string[];
  /** Number of objects left, by `resource.group`. */
  readonly remaining: ReadonlyMap<string, number>;
  /** Number of objects that hold a finalizer, by its name. */
  readonly finalizers: ReadonlyMap<string, number>;
}

export function deletionConditions(
  before: readonly Condition[],
  { discoveryFailure, contentFailures, remaining, finalizers }: DeletionReport,
  nowMs: number,
): readonly Condition[] {
  const wanted: readonly Omit<Condition, 'lastTransitionTime'>[] = [
    discoveryFailure === undefined
      ? {
          type: 'NamespaceDeletionDiscoveryFailure',
          status: 'False',
          reason: 'ResourcesDiscovered',
          message: 'All resources successfully discovered',
        }
      : {
          type: 'NamespaceDeletionDiscoveryFailure',
          status: 'True',
          reason: 'DiscoveryFailed',
          message: `Discovery failed for some groups, ${discoveryFailure}`,
        },
    {
      type: 'NamespaceDeletionGroupVersionParsingFailure',
      status: 'False',
      reason: 'ParsedGroupVersions',
      message: 'All legacy kube types successfully parsed',
    },
    contentFailures.length === 0
      ? {
          type: 'NamespaceDeletionContentFailure',
          status: 'False',
          reason: 'ContentDeleted',
          message: 'All content successfully deleted, may be waiting on finalization',
        }
      : {
          type: 'NamespaceDeletionContentFailure',
          status: 'True',
          reason: 'ContentDeletionFailed',
          message: `Failed to delete all resource types, ${contentFailures.length} remaining: ${[...contentFailures].sort().join(', ')}`,
        },
    remaining.size === 0
      ? {
          type: 'NamespaceContentRemaining',
          status: 'False',
          reason: 'ContentRemoved',
          message: 'All content successfully removed',
        }
      : {
          type: 'NamespaceContentRemaining',
          status: 'True',
          reason: 'SomeResourcesRemain',
          message: `Some resources are remaining: ${sorted(remaining, (name, count) => `${name} has ${count} resource instances`)}`,
        },
    finalizers.size === 0
      ? {
          type: 'NamespaceFinalizersRemaining',
          status: 'False',
          reason: 'ContentHasNoFinalizers',
          message: 'All content-preserving finalizers finished',
        }
      : {
          type: 'NamespaceFinalizersRemaining',
          status: 'True',
          reason: 'SomeFinalizersRemain',
          message: `Some content in the namespace has finalizers remaining: ${sorted(finalizers, (name, count) => `${name} in ${count} resource instances`)}`,
        },
  ];
  const ours = new Set(wanted.map(({ type }) => type));
  return [
    ...before.filter(({ type }) => !ours.has(type)),
    ...wanted.map((condition) => {
      const known = before.find(({ type }) => type === condition.type);
      const same = known?.status === condition.status;
      if (same && known.reason === condition.reason && known.message === condition.message) return known;
      return { ...condition, lastTransitionTime: same ? (known.lastTransitionTime ?? null) : formatTime(nowMs) };
    }),
  ];
}

function sorted(counts: ReadonlyMap<string, number>, text: (name: string, count: number) => string): string {
  return Array.from(counts, ([name, count]) => text(name, count))
    .sort()
    .join(', ');
}
