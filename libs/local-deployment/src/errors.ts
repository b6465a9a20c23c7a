/**
 * Codes of what a local deployment refuses or gives up on; `docs/errors.md` explains
 * each.
 */
export type LocalDeploymentErrorCode =
  | 'DEPLOYMENT_START_FAILED'
  | 'DEPLOYMENT_STATE_IN_USE'
  | 'DEPLOYMENT_PROGRAM_MISSING'
  | 'DEPLOYMENT_INVALID_OPTION';

/** The one error type of local deployments. `message` names the process or file, never a secret. */
export class LocalDeploymentError extends Error {
  override readonly name = 'LocalDeploymentError';

  constructor(
    readonly code: LocalDeploymentErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
