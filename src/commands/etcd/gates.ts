/**
 * Features of 3.6 and 3.7 that `--feature-gates` turns on and off, and whether that changes anything here. Six of them have flags of 3.5, too.
 * https://etcd.io/docs/v3.6/feature-gates/
 */
import { backend, etcdFlags } from './flags.ts';

export interface GateSpec {
  readonly default: boolean;
  /** `AllAlpha` and `AllBeta` turn on or off what nobody has said anything else about. */
  readonly stage: 'alpha' | 'beta' | 'all';
  /** Why things go as they do whatever it is set to; undefined: it acts. */
  readonly why?: string;
}

const leaseTimes = 'leases start anew when a leader does';

export const featureGates: Readonly<Record<string, GateSpec>> = {
  AllAlpha: { default: false, stage: 'all' },
  AllBeta: { default: false, stage: 'all' },
  StopGRPCServiceOnDefrag: { default: false, stage: 'alpha', why: 'defragmentation stops nothing' },
  TxnModeWriteWithSharedBuffer: { default: true, stage: 'beta', why: backend },
  InitialCorruptCheck: { default: false, stage: 'alpha' },
  CompactHashCheck: { default: false, stage: 'alpha' },
  LeaseCheckpoint: { default: false, stage: 'alpha', why: leaseTimes },
  LeaseCheckpointPersist: { default: false, stage: 'alpha', why: leaseTimes },
  SetMemberLocalAddr: {
    default: false,
    stage: 'alpha',
    why: 'the system chooses the address that members are called from',
  },
  FastLeaseKeepAlive: { default: true, stage: 'beta', why: 'it is so always' },
  PriorityRequest: { default: false, stage: 'alpha', why: 'there is one queue' },
};

/** What is wrong with a list of gates, in the words of upstream; undefined when nothing is. */
export function gatesProblem(text: string): string | undefined {
  for (const [name, value] of partsOf(text)) {
    if (value === undefined) return `missing bool value for ${name}`;
    if (!/^(?:1|0|t|f|T|F|TRUE|FALSE|true|false|True|False)$/.test(value))
      return `invalid value of ${name}=${value}, err: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`;
    if (featureGates[name] === undefined) return `unrecognized feature gate: ${name}`;
  }
  return undefined;
}

/** What each gate is set to. @param values of all flags that somebody has said anything about, well-formed */
export function gatesOf(values: ReadonlyMap<string, string>): (name: string) => boolean {
  const said = new Map<string, boolean>();
  for (const [name, value] of partsOf(values.get('feature-gates') ?? '')) said.set(name, /^[1tT]/.test(value ?? ''));
  const byFlag = new Map<string, boolean>();
  for (const [flag, value] of values) {
    const { instead } = etcdFlags[flag]!;
    if (instead?.kind === 'gate') byFlag.set(instead.of, value === 'true');
  }
  return (name) => {
    const { stage, default: standard } = featureGates[name]!;
    const all = stage === 'alpha' ? said.get('AllAlpha') : said.get('AllBeta');
    return byFlag.get(name) ?? said.get(name) ?? all ?? standard;
  };
}

/** A feature that both its flag and `--feature-gates` speak of is refused, as upstream does. @returns in its words */
export function gateSaidTwice(values: ReadonlyMap<string, string>): string | undefined {
  const names = new Set(partsOf(values.get('feature-gates') ?? '').map(([name]) => name));
  for (const [flag, value] of values) {
    const { instead } = etcdFlags[flag]!;
    if (instead?.kind !== 'gate' || !names.has(instead.of)) continue;
    const gate = `--feature-gates=${instead.of}=${gatesOf(new Map([['feature-gates', values.get('feature-gates')!]]))(instead.of)}`;
    return `cannot specify both flags: --${flag}=${value} and ${gate} at the same time, please just use ${gate}`;
  }
  return undefined;
}

function partsOf(text: string): readonly (readonly [name: string, value: string | undefined])[] {
  return text
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const [name = '', value] = part.split('=').map((each) => each.trim());
      return [name, value] as const;
    });
}
