/** The resource name of a job that was given as `jobs/ID` or `ID`. */
export function jobNameOf(text: string | undefined): string {
  return text?.startsWith('jobs/') ? text : `jobs/${text ?? ''}`;
}
