/** Label selectors inside objects. Source: meta/v1 validation of k8s.io/apimachinery. */
import { type FieldError, forbidden, invalid, required } from '#kube-machinery/field-error.ts';
import { labelValueProblems, qualifiedNameProblems } from '#kube-machinery/names.ts';
import { check, type Fields, list, text, words } from './fields.ts';
import { validateLabels } from './metadata.ts';

export function validateLabelSelector(selector: Fields, at: string, errors: FieldError[]): void {
  const labels = selector['matchLabels'] as Readonly<Record<string, string>> | undefined;
  errors.push(...validateLabels(labels, `${at}.matchLabels`));
  for (const [index, requirement] of list(selector['matchExpressions']).entries()) {
    const here = `${at}.matchExpressions[${index}]`;
    const values = words(requirement['values']);
    switch (requirement['operator']) {
      case 'In':
      case 'NotIn':
        if (values.length === 0)
          errors.push(required(`${here}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
        break;
      case 'Exists':
      case 'DoesNotExist':
        if (values.length > 0)
          errors.push(
            forbidden(`${here}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
          );
        break;
      default:
        errors.push(invalid(`${here}.operator`, text(requirement['operator']), 'not a valid selector operator'));
    }
    check(errors, `${here}.key`, text(requirement['key']), qualifiedNameProblems);
    for (const [i, value] of values.entries()) check(errors, `${here}.values[${i}]`, value, labelValueProblems);
  }
}
