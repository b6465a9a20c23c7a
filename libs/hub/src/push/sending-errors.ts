import { HubError, type HubErrorCode } from '../errors.js';
import { passingError, said, type Answer, type Refused } from '../response-errors.js';
import type { PassingError } from '../retry.js';

/** The error of an answer to what was sent that is no success. */
export function errorOfSending(answer: Answer, refused: Refused): HubError | PassingError {
  const passes = passingError(answer, refused);
  if (passes) return passes;
  const [code, message] = refusalOf(answer, refused);
  return new HubError(code, message);
}

function refusalOf(answer: Answer, refused: Refused): readonly [HubErrorCode, string] {
  const { model, host } = refused;
  const what = `${model}: ${host} answered ${said(answer)}`;
  switch (answer.status) {
    case 401:
      return ['HUB_ACCESS_DENIED', `${what}: the token is not valid, or has expired`];
    case 403:
      return [
        'HUB_ACCESS_DENIED',
        `${what}: the token must allow to write, and its account must be the owner or a member of the organisation that is`,
      ];
    case 404:
      return [
        'HUB_NOT_FOUND',
        `${what}: there is no such model or branch, or the account of the token may not see it`,
      ];
    case 409:
      return ['HUB_NAME_TAKEN', `${what}: the name is taken, or the branch was changed meanwhile`];
    default:
      return ['HUB_PUSH_REFUSED', what];
  }
}
