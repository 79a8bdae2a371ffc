/**
 * Quantities: `100m`, `1.5Gi`, `2e3`. Exact decimal arithmetic with upstream's canonical form (apimachinery's resource.Quantity).
 */

type Format = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

const decimalSuffixes: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const binarySuffixes: Readonly<Record<string, number>> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };
const suffixByExponent = new Map(Object.entries(decimalSuffixes).map(([suffix, exponent]) => [exponent, suffix]));
const nano = 9;

export class QuantityError extends Error {
  override readonly name = 'QuantityError';
}

export class Quantity {
  /** The amount in billionths: nothing smaller exists, finer amounts are rounded up. */
  readonly nanos: bigint;
  readonly format: Format;

  constructor(nanos: bigint, format: Format) {
    this.nanos = nanos;
    this.format = format;
  }

  /** The amount in units of 10^exponent (-9 to 18), rounded up (away from zero). */
  scaled(exponent: number): bigint {
    const shift = exponent + nano;
    const unit = 10n ** BigInt(shift);
    return roundUp(this.nanos, unit);
  }

  add(other: Quantity): Quantity {
    return new Quantity(this.nanos + other.nanos, this.nanos === 0n ? other.format : this.format);
  }

  subtract(other: Quantity): Quantity {
    return new Quantity(this.nanos - other.nanos, this.nanos === 0n ? other.format : this.format);
  }

  compare(other: Quantity): number {
    return this.nanos < other.nanos ? -1 : this.nanos > other.nanos ? 1 : 0;
  }

  /** The canonical form: the largest suffix that leaves an integer. */
  toString(): string {
    if (this.nanos === 0n) return '0';
    const billion = 1_000_000_000n;
    if (this.format === 'BinarySI' && this.nanos % billion === 0n) {
      let value = this.nanos / billion;
      // Below 1024 a binary quantity is written as a decimal one.
      if (value >= 1024n || value <= -1024n) {
        let suffix = '';
        for (const [name] of Object.entries(binarySuffixes)) {
          if (value % 1024n !== 0n) break;
          value /= 1024n;
          suffix = name;
        }
        return `${value}${suffix}`;
      }
      return decimalText(this.nanos, false);
    }
    return decimalText(this.nanos, this.format === 'DecimalExponent');
  }
}

/** @throws QuantityError with upstream's text */
export function parseQuantity(text: string): Quantity {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?$/.exec(text);
  // A number, and letters that are in suffixes but are none together: `512mi`, `1K`.
  if (match === null && /^[+-]?\d+(\.\d*)?[eEinumkKMGTP]+[+-]?\d*$/.test(text))
    throw new QuantityError("unable to parse quantity's suffix");
  if (match === null || ((match[2] ?? '') === '' && (match[3] ?? '') === ''))
    throw new QuantityError(
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    );
  const [, sign, whole = '', fraction = '', suffix = ''] = match;
  let digits = BigInt(whole + fraction || '0');
  if (sign === '-') digits = -digits;
  const binary = binarySuffixes[suffix];
  let format: Format = 'DecimalSI';
  let exponent = 0;
  if (binary !== undefined) {
    format = 'BinarySI';
    digits *= 1n << BigInt(binary);
  } else if (/^[eE][+-]?\d+$/.test(suffix)) {
    format = 'DecimalExponent';
    exponent = Number(suffix.slice(1));
    if (Math.abs(exponent) > 100) throw new QuantityError("unable to parse quantity's suffix");
  } else exponent = decimalSuffixes[suffix]!;
  const shift = exponent - fraction.length + nano;
  const nanos = shift >= 0 ? digits * 10n ** BigInt(shift) : roundUp(digits, 10n ** BigInt(-shift));
  return new Quantity(nanos, format);
}

/** The quantity of a text known to be valid; 0 for none. */
export function quantityOrZero(text: string | undefined): Quantity {
  return text === undefined ? new Quantity(0n, 'DecimalSI') : parseQuantity(text);
}

function roundUp(value: bigint, unit: bigint): bigint {
  const quotient = value / unit;
  if (value % unit === 0n) return quotient;
  return value > 0n ? quotient + 1n : quotient - 1n;
}

function decimalText(nanos: bigint, exponentForm: boolean): string {
  let value = nanos;
  let exponent = -nano;
  while (value % 1000n === 0n && exponent < 18) {
    value /= 1000n;
    exponent += 3;
  }
  if (exponentForm) return exponent === 0 ? `${value}` : `${value}e${exponent}`;
  return `${value}${suffixByExponent.get(exponent)}`;
}
