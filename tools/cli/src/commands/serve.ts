import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import {
  programsIn,
  stageNames,
  startLocalDeployment,
  type DeploymentSignals,
  type LocalDeployment,
  type StageName,
} from '@emloc/local-deployment';
import { InvalidArgumentError, Option, type Command } from 'commander';

import { applyConfigFile } from '../config-file.js';
import { exitCodeOf, exitCodes, signalExitCode } from '../exit-code.js';
import { addFlags, commonFlags, type FlagValues } from '../flags.js';
import { describeError } from '../output/describe-error.js';
import { serveDocument, serveText } from '../output/serve-report.js';
import { openServiceLogs, type ServiceLogs } from '../output/service-logs.js';
import { told, visible } from '../output/visible.js';
import { watchOutput } from '../output/watch-output.js';
import { serviceFlags } from '../service-flags.js';

export function addServeCommand(program: Command): void {
  const command = program
    .command('serve')
    .description('coordinator, stages and NATS on this machine, until Ctrl-C')
    .option(
      '--host <host>',
      'address of the coordinator; others than loopback need --tokens-file and TLS (default: 127.0.0.1)',
    )
    .option(
      '--port <n>',
      'port of the coordinator; the stages have the next ones, metrics 100 above; 0: free ones (default: 7070)',
      whole,
    )
    .option(
      '--replicas <stage=n>',
      'processes of a stage whose replicas share the layers: emulator-builder=3 or corrector=2',
      replica,
    )
    .option(
      '--state-dir <dir>',
      "jobs, data sets and results (default: emloc/serve in the user's state folder)",
    )
    .option(
      '--model-root <dir>',
      'models of jobs are in it (repeatable; default: the current folder)',
      list,
    )
    .addOption(
      new Option(
        '--model-hub <mode>',
        "models of jobs by hub names: those in this machine's hub cache, or none (default: cache)",
      ).choices(['cache', 'off']),
    )
    .option(
      '--data-root <dir>',
      'data files of jobs are in it (repeatable; default: the current folder)',
      list,
    )
    .option(
      '--nats-url <urls>',
      'use a running NATS; its credentials are in EMLOC_NATS_USER and EMLOC_NATS_PASSWORD, EMLOC_NATS_TOKEN or EMLOC_NATS_CREDS',
    )
    .option('--device <name>', 'auto, cpu, cuda or cuda:N (default: auto)')
    .option('--threads <n>', 'CPU threads of each stage (default: all cores)', threads)
    .option(
      '--tokens-file <file>',
      'tenants and their tokens; without it, everyone on this machine may submit jobs',
    )
    .option('--tls-cert <file>', 'certificate chain of the coordinator, PEM')
    .option('--tls-key <file>', 'its key, PEM')
    .option('--tls-ca <file>', 'authorities of client certificates, PEM')
    .option(
      '--allow-plaintext',
      'listen without TLS on other addresses than loopback: something in front encrypts',
    )
    .option('--log-dir <dir>', 'a file of JSON lines for each process (default: lines on stderr)')
    .option('--log-level <level>', 'debug, info, warn or error (default: info)');
  addFlags(command, commonFlags)
    .addHelpText(
      'after',
      '\nExample:\n  emloc serve --model-root ./models --data-root ./data --replicas emulator-builder=2',
    )
    .action(async (_flags: unknown, serve: Command) => {
      try {
        applyConfigFile(serve);
        process.exitCode = await runServe(serve.opts());
      } catch (error) {
        process.stderr.write(`${told(describeError(error))}\n`);
        process.exitCode = exitCodeOf(error);
      }
    });
}

function whole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('A whole number is expected.');
  return Number(text);
}

/** As many as a stage takes. */
function threads(text: string): number {
  const count = whole(text);
  if (count > 1024) throw new InvalidArgumentError('At most 1024 are expected.');
  return count;
}

function list(text: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), text];
}

function replica(
  text: string,
  previous: readonly [StageName, number][] | undefined,
): readonly [StageName, number][] {
  const [stage, count] = text.split('=');
  if (!stageNames.some((name) => name === stage) || !/^\d+$/.test(count ?? ''))
    throw new InvalidArgumentError(
      `STAGE=N is expected, with a stage of ${stageNames.join(', ')}.`,
    );
  return [...(previous ?? []), [stage as StageName, Number(count)]];
}

/**
 * Serves until a signal ends it.
 * @returns 0 after an orderly end, 1 when a process had to be killed; the signal's own code where
 * it came before the start, and that of SIGINT where the second one did not wait for the end
 * @throws OutputError where nobody can be told the address
 */
async function runServe(values: FlagValues): Promise<number> {
  const [stop, kill] = [new AbortController(), new AbortController()];
  const logs = openServiceLogs(values['logDir'] as string | undefined, process.stderr);
  const stdout = watchOutput(process.stdout, (error) => stop.abort(error));
  let stoppedBy: NodeJS.Signals | null = null;
  const onSignal = (signal: NodeJS.Signals): void => {
    stoppedBy ??= signal;
    const isSecond = stop.signal.aborted && signal === 'SIGINT';
    (isSecond ? kill : stop).abort(new Error(`stopped by ${signal}`));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onSignal);
  try {
    const deployment = await start(values, logs, { stop: stop.signal, kill: kill.signal });
    const isSecure = values['tlsCert'] !== undefined;
    process.stdout.write(
      values['json'] === true
        ? `${visible(JSON.stringify(serveDocument(deployment, isSecure)))}\n`
        : `${visible(serveText(deployment, isSecure))}\n`,
    );
    await aborted(stop.signal);
    const isOrderly = await deployment.stop();
    if (kill.signal.aborted) return signalExitCode('SIGINT');
    await stdout.finish();
    return isOrderly ? exitCodes.done : exitCodes.failed;
  } catch (error) {
    if (error !== stop.signal.reason || stoppedBy === null) throw error;
    return signalExitCode(stoppedBy);
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal).off('SIGHUP', onSignal);
    logs.close();
  }
}

function start(
  values: FlagValues,
  logs: ServiceLogs,
  signals: DeploymentSignals,
): Promise<LocalDeployment> {
  return startLocalDeployment(
    {
      program: programsIn(join(dirname(fileURLToPath(import.meta.url)), '..')),
      stateDir: resolve((values['stateDir'] as string | undefined) ?? defaultStateDir(process.env)),
      natsUrl: (values['natsUrl'] as string | undefined) ?? null,
      host: values['host'] as string | undefined,
      port: values['port'] as number | undefined,
      replicas: Object.fromEntries(
        (values['replicas'] as readonly [StageName, number][] | undefined) ?? [],
      ),
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
