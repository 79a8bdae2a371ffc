/** Signals by name and number, as stop signals are written in images and in the CRI. Numbers are those of amd64 and arm64. signal(7) */
import { Signal } from '#api-cri/gen/api.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';

const numbers: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  IOT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  STKFLT: 16,
  CHLD: 17,
  CLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  TTIN: 21,
  TTOU: 22,
  URG: 23,
  XCPU: 24,
  XFSZ: 25,
  VTALRM: 26,
  PROF: 27,
  WINCH: 28,
  IO: 29,
  POLL: 29,
  PWR: 30,
  SYS: 31,
};
const realTimeMin = 34;
const realTimeMax = 64;

export const SIGKILL = 9;
export const SIGTERM = 15;

/** `SIGTERM`, `TERM`, `15`, `RTMIN+3`, `SIGRTMAX-1`. */
export function signalNumber(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, '');
  if (/^[0-9]+$/.test(name) && Number(name) >= 1 && Number(name) <= realTimeMax) return Number(name);
  const plain = numbers[name];
  if (plain !== undefined) return plain;
  const [, base, offset = '0'] = /^RT(MIN|MAX)([+-][0-9]+)?$/.exec(name) ?? [];
  const number = base === 'MIN' ? realTimeMin + Number(offset) : base === 'MAX' ? realTimeMax + Number(offset) : 0;
  if (number < realTimeMin || number > realTimeMax)
    throw new RpcError(Code.InvalidArgument, `unknown signal ${JSON.stringify(text)}`);
  return number;
}

/** Name of one of the CRI's signals, `SIGRTMIN+3`. */
export function stopSignalName(signal: Signal): string {
  const name = Object.entries(Signal).find(([, value]) => value === signal)?.[0] ?? 'SIGNAL_SIGTERM';
  return name.replace('SIGNAL_', '').replace('MINPLUS', 'MIN+').replace('MAXMINUS', 'MAX-');
}
