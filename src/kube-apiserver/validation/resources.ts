/** What a container asks for and may have. Source: ValidateContainerResourceRequirements of pkg/apis/core/validation. */
import { type FieldError, invalid, required } from '#kube-machinery/field-error.ts';
import { qualifiedNameProblems } from '#kube-machinery/names.ts';
import { parseQuantity, QuantityError } from '#kube-machinery/quantity.ts';
import type { Fields } from './fields.ts';

const oneNanos = 1_000_000_000n;

const isPages = (name: string) => name.startsWith('hugepages-');
const isStandard = (name: string) => ['cpu', 'memory', 'ephemeral-storage'].includes(name) || isPages(name);
/** Names that Kubernetes itself gives out. */
const isNative = (name: string) => !name.includes('/') || /(^|\.)kubernetes\.io\//.test(name);
/** The scheduler may promise more of it than there is. */
const allowsOvercommit = (name: string) => isNative(name) && !isPages(name);

export function validateResources(resources: Fields, at: string, errors: FieldError[]): void {
  const limits = (resources['limits'] ?? {}) as Readonly<Record<string, string>>;
  const requests = (resources['requests'] ?? {}) as Readonly<Record<string, string>>;
  for (const [name, amount] of Object.entries(limits)) validateAmount(name, amount, `${at}.limits[${name}]`, errors);
  for (const [name, amount] of Object.entries(requests)) {
    validateAmount(name, amount, `${at}.requests[${name}]`, errors);
    const asked = nanosOf(amount);
    const limit = nanosOf(limits[name]);
    if (asked === undefined) continue;
    if (limit === undefined) {
      if (!allowsOvercommit(name))
        errors.push(required(`${at}.limits`, 'Limit must be set for non overcommitable resources'));
    } else if (asked !== limit && !allowsOvercommit(name))
      errors.push(invalid(`${at}.requests`, amount, `must be equal to ${name} limit of ${limits[name]}`));
    else if (asked > limit)
      errors.push(invalid(`${at}.requests`, amount, `must be less than or equal to ${name} limit of ${limits[name]}`));
  }
}

function validateAmount(name: string, amount: string, at: string, errors: FieldError[]): void {
  const problems = qualifiedNameProblems(name);
  for (const problem of problems) errors.push(invalid(at, name, problem));
  if (problems.length === 0 && !name.includes('/')) {
    if (!isStandard(name)) {
      errors.push(invalid(at, name, 'must be a standard resource type or fully qualified'));
      errors.push(invalid(at, name, 'must be a standard resource for containers'));
    }
  } else if (problems.length === 0 && !isNative(name) && name.startsWith('requests.'))
    errors.push(invalid(at, name, "doesn't follow extended resource name standard"));
  const nanos = nanosOf(amount);
  if (nanos === undefined) return;
  if (nanos < 0n) errors.push(invalid(at, amount, 'must be greater than or equal to 0'));
  if (!isNative(name) && nanos % oneNanos !== 0n) errors.push(invalid(at, amount, 'must be an integer'));
}

/** Undefined for what is no quantity: decoding has told that. */
export function nanosOf(amount: string | undefined): bigint | undefined {
  if (amount === undefined) return undefined;
  try {
    return parseQuantity(amount).nanos;
  } catch (error) {
    if (error instanceof QuantityError) return undefined;
    throw error;
  }
}
