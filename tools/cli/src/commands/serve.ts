import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import {
  programsIn,
  startLocalDeployment,
  type DeploymentSignals,
  type LocalDeployment,
} from '@emloc/local-deployment';

import { defineCommand, type CommandResult, type CommandTools } from '../command/define-command.js';
import { exitCodes, signalExitCode } from '../exit-code.js';
import { serveFlags, type ServeValues } from '../flags/serve.js';
import { serveDocument, serveText } from '../output/serve-report.js';
import { openServiceLogs, type ServiceLogs } from '../output/service-logs.js';
import { serviceFlags } from '../service-flags.js';

export const command = defineCommand({
  flags: serveFlags,
  notes:
    'The exit code is 0 after an orderly end, 1 where a process had to be killed, and 130 where a second Ctrl-C did not wait for the end.',
  examples: ['serve --model-root ./models --data-root ./data --replicas emulator-builder=2'],
  run: ({ values, ...tools }) => serve(values, tools),
});

/** Serves until a signal ends it. */
async function serve(values: ServeValues, tools: CommandTools): Promise<CommandResult> {
  const { signal: stop, hurry: kill, show } = tools;
  const logs = openServiceLogs(values.logDir, process.stderr);
  try {
    const deployment = await start(values, logs, { stop, kill });
    const isSecure = values.tlsCert !== undefined;
    show({
      document: serveDocument(deployment, isSecure),
      text: serveText(deployment, isSecure),
    });
    await aborted(stop);
    const isOrderly = await deployment.stop();
    if (kill.aborted) return { exitCode: signalExitCode('SIGINT') };
    return { exitCode: isOrderly ? exitCodes.done : exitCodes.failed };
  } finally {
    logs.close();
  }
}

function start(
  values: ServeValues,
  logs: ServiceLogs,
  signals: DeploymentSignals,
): Promise<LocalDeployment> {
  return startLocalDeployment(
    {
      program: programsIn(join(dirname(fileURLToPath(import.meta.url)), '..')),
      stateDir: resolve(values.stateDir ?? defaultStateDir(process.env)),
      natsUrl: values.natsUrl ?? null,
      host: values.host,
      port: values.port,
      replicas: Object.fromEntries(values.replicas),
      flags: (service) => serviceFlags(service, values),
      onLine: logs.write,
      observer: {
        exited: (name, exit, restartMs) => {
          if (restartMs !== null)
            logs.note(
              name,
              `ended with ${exit.signal ?? exit.code}; it is started again in ${restartMs} ms`,
            );
        },
      },
    },
    signals,
  );
}

/** Where the XDG base directory specification puts state. */
function defaultStateDir(env: Readonly<Record<string, string | undefined>>): string {
  const state = env['XDG_STATE_HOME'];
  return join(
    state?.startsWith('/') ? state : join(homedir(), '.local', 'state'),
    'emloc',
    'serve',
  );
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
