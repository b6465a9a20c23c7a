/** The job that a command is about. */
export const jobArgument = { name: '<job>', help: 'jobs/ID or ID' } as const;

/** The resource name of a job that was given as `jobs/ID` or `ID`. */
export function jobNameOf(text: string): string {
  return text.startsWith('jobs/') ? text : `jobs/${text}`;
}
