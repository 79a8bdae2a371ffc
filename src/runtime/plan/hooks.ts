/** Hooks as operations: each gets the container's state on its standard input, with the pid the helper knows. */

import type { Hook, Spec, Status } from '#api-oci/runtime-spec.ts';
import { Op } from '#host-linux/helper/op-codes.ts';
import type { Plan } from '#host-linux/helper/plan.ts';

/** A pid that no JSON text holds by accident: the state is split there. */
const pidMark = 918273645;

export interface HookSubject {
  readonly id: string;
  readonly spec: Spec;
  readonly bundle: string;
}

/** `soft`: a failing hook is a warning (poststop). `pid` 0: the container has ended; absent: the helper knows it. */
export function planHooks(
  plan: Plan,
  hooks: readonly Hook[],
  { id, spec, bundle }: HookSubject,
  status: Status,
  { soft = false, pid }: { readonly soft?: boolean; readonly pid?: number } = {},
): void {
  const state = JSON.stringify({
    ociVersion: spec.ociVersion,
    id,
    status,
    pid: pidMark,
    bundle,
    ...(spec.annotations === undefined ? {} : { annotations: spec.annotations }),
  });
  const [head = '', tail = ''] = state.split(`"pid":${pidMark}`);
  hooks.forEach((hook, index) => {
    plan.op(
      Op.HOOK,
      (failure) => `error running hook #${index}: error running hook: ${failure.text}`,
      (fields) => {
        fields
          .string(hook.path)
          .strings(hook.args ?? [])
          .strings(hook.env ?? []);
        fields
          .u32((hook.timeout ?? 0) * 1000)
          .u32(pid === 0 ? 0xffff_ffff : (pid ?? 0))
          .string(`${head}"pid":`)
          .string(tail);
      },
      { soft },
    );
  });
}
