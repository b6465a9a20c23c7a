import process from 'node:process';

/**
 * Brings nx's cached graph of projects and their imports up to date; without the daemon, which
 * would outlive the command.
 */
export async function ensureProjectGraph() {
  process.env['NX_DAEMON'] ??= 'false';
  const { createProjectGraphAsync } = await import('@nx/devkit');
  await createProjectGraphAsync({ exitOnError: true, resetDaemonClient: true });
}
