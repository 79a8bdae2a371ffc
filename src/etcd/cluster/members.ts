/**
 * Who belongs to the cluster: the part of membership that all members agree on, changed only by entries of the log. Who votes is
 * Raft's own record; here stand names and addresses, and who was removed and may never come back under its id.
 * (upstream: server/etcdserver/api/membership)
 */
import { etcdError } from '#api-etcd/errors.ts';
import { type ConfChange, ConfChangeType } from '#api-etcd/gen/raft.ts';
import { parseChangeContext } from './member-json.ts';

export interface ClusterMember {
  /** Never 0. */
  readonly id: bigint;
  /** Empty until it has started and told. */
  readonly name: string;
  /** Where other members reach it; at least one. */
  readonly peerUrls: readonly string[];
  /** Where clients reach it; empty until it has told. */
  readonly clientUrls: readonly string[];
  /** Gets the log but has no vote. */
  readonly isLearner: boolean;
}

/** What a member says of itself. */
export interface MemberAttributes {
  readonly name: string;
  readonly clientUrls: readonly string[];
}

export class Members {
  readonly #byId: Map<bigint, ClusterMember>;
  readonly #removed: Set<bigint>;

  constructor(members: Iterable<ClusterMember> = [], removed: Iterable<bigint> = []) {
    this.#byId = new Map([...members].map((member) => [member.id, member]));
    this.#removed = new Set(removed);
  }

  get(id: bigint): ClusterMember | undefined {
    return this.#byId.get(id);
  }

  /** In ascending order of ids. */
  all(): readonly ClusterMember[] {
    return [...this.#byId.values()].sort(byId);
  }

  voters(): readonly ClusterMember[] {
    return this.all().filter(({ isLearner }) => !isLearner);
  }

  /** In ascending order. */
  get removedIds(): readonly bigint[] {
    return [...this.#removed].sort((a, b) => (a < b ? -1 : 1));
  }

  isRemoved(id: bigint): boolean {
    return this.#removed.has(id);
  }

  /**
   * Whether a change can be made to what there is now. The same answer on every member, as it is asked while the change is applied.
   * @param learnersMax `--max-learners`
   * @throws RpcError as upstream's
   */
  check({ type, nodeId, context }: ConfChange, learnersMax: number): void {
    // One that was removed stays so, and nobody is told of it by another name.
    if (this.#removed.has(nodeId)) throw etcdError('memberNotFound');
    const known = this.#byId.get(nodeId);
    switch (type) {
      case ConfChangeType.ConfChangeAddNode:
      case ConfChangeType.ConfChangeAddLearnerNode: {
        const { isPromote, peerUrls, isLearner } = parseChangeContext(context);
        if (isPromote) {
          if (known === undefined) throw etcdError('memberNotFound');
          if (!known.isLearner) throw etcdError('memberNotLearner');
          return;
        }
        if (known !== undefined) throw etcdError('memberExists');
        this.#checkUrls(peerUrls);
        if (isLearner && this.all().filter((member) => member.isLearner).length >= learnersMax)
          throw etcdError('tooManyLearners');
        return;
      }
      case ConfChangeType.ConfChangeRemoveNode:
        if (known === undefined) throw etcdError('memberNotFound');
        return;
      case ConfChangeType.ConfChangeUpdateNode:
        if (known === undefined) throw etcdError('memberNotFound');
        this.#checkUrls(parseChangeContext(context).peerUrls, nodeId);
        return;
    }
  }

  /** Makes a change that {@link check} allows. */
  apply({ type, nodeId, context }: ConfChange): void {
    const known = this.#byId.get(nodeId);
    switch (type) {
      case ConfChangeType.ConfChangeAddNode:
      case ConfChangeType.ConfChangeAddLearnerNode: {
        const { isPromote, ...member } = parseChangeContext(context);
        if (isPromote && known !== undefined) this.#byId.set(nodeId, { ...known, isLearner: false });
        else this.#byId.set(nodeId, { ...member, id: nodeId });
        return;
      }
      case ConfChangeType.ConfChangeRemoveNode:
        this.#byId.delete(nodeId);
        this.#removed.add(nodeId);
        return;
      case ConfChangeType.ConfChangeUpdateNode:
        if (known !== undefined) this.#byId.set(nodeId, { ...known, peerUrls: parseChangeContext(context).peerUrls });
        return;
    }
  }

  /** What a member has told of itself; nothing for one that is gone. */
  setAttributes(id: bigint, { name, clientUrls }: MemberAttributes): void {
    const known = this.#byId.get(id);
    if (known !== undefined) this.#byId.set(id, { ...known, name, clientUrls });
  }

  fork(): Members {
    return new Members(this.#byId.values(), this.#removed);
  }

  #checkUrls(urls: readonly string[], except?: bigint): void {
    for (const { id, peerUrls } of this.#byId.values())
      if (id !== except && urls.some((url) => peerUrls.includes(url))) throw etcdError('peerUrlExists');
  }
}

function byId(a: ClusterMember, b: ClusterMember): number {
  return a.id < b.id ? -1 : 1;
}
