import { stageNames, type StageName } from '@emloc/local-deployment';
import { InvalidArgumentError } from 'commander';

import {
  choiceFlag,
  parsedFlag,
  repeatedFlag,
  switchFlag,
  textFlag,
  wholeNumber,
  type ValuesOf,
} from '../command/flag.js';

const asItIs = (text: string): string => text;

/** Flags of `serve`, about the whole deployment. */
export const serveFlags = {
  host: textFlag(
    '--host <host>',
    'address of the coordinator; others than loopback need --tokens-file and TLS (default: 127.0.0.1)',
  ),
  port: parsedFlag(
    '--port <n>',
    'port of the coordinator; the stages have the next ones, metrics 100 above; 0: free ones (default: 7070)',
    wholeNumber(0, 65_535),
  ),
  replicas: repeatedFlag(
    '--replicas <stage=n>',
    'processes of a stage whose replicas share the layers: emulator-builder=3 or corrector=2',
    replica,
  ),
  stateDir: textFlag(
    '--state-dir <dir>',
    "jobs, data sets and results (default: emloc/serve in the user's state folder)",
  ),
  modelRoot: repeatedFlag(
    '--model-root <dir>',
    'models of jobs are in it (repeatable; default: the current folder)',
    asItIs,
  ),
  modelHub: choiceFlag(
    '--model-hub <mode>',
    "models of jobs by hub names: those in this machine's hub cache, or none (default: cache)",
    ['cache', 'off'],
  ),
  dataRoot: repeatedFlag(
    '--data-root <dir>',
    'data files of jobs are in it (repeatable; default: the current folder)',
    asItIs,
  ),
  natsUrl: textFlag(
    '--nats-url <urls>',
    'use a running NATS; its credentials are in EMLOC_NATS_USER and EMLOC_NATS_PASSWORD, EMLOC_NATS_TOKEN or EMLOC_NATS_CREDS',
  ),
  device: textFlag('--device <name>', 'auto, cpu, cuda or cuda:N (default: auto)'),
  threads: parsedFlag(
    '--threads <n>',
    'CPU threads of each stage (default: OMP_NUM_THREADS, else all cores)',
    wholeNumber(0, 1024),
  ),
  tokensFile: textFlag(
    '--tokens-file <file>',
    'tenants and their tokens; without it, everyone on this machine may submit jobs',
  ),
  tlsCert: textFlag('--tls-cert <file>', 'certificate chain of the coordinator, PEM'),
  tlsKey: textFlag('--tls-key <file>', 'its key, PEM'),
  tlsCa: textFlag('--tls-ca <file>', 'authorities of client certificates, PEM'),
  allowPlaintext: switchFlag(
    '--allow-plaintext',
    'listen without TLS on other addresses than loopback: something in front encrypts',
  ),
  logDir: textFlag(
    '--log-dir <dir>',
    'a file of JSON lines for each process (default: lines on stderr)',
  ),
  logLevel: choiceFlag('--log-level <level>', 'least that is logged (default: info)', [
    'debug',
    'info',
    'warn',
    'error',
    'silent',
  ]),
};

export type ServeValues = ValuesOf<typeof serveFlags>;

function replica(text: string): readonly [StageName, number] {
  const { stage, count } = /^(?<stage>[a-z-]+)=(?<count>\d+)$/.exec(text)?.groups ?? {};
  const name = stageNames.find((each) => each === stage);
  if (name === undefined)
    throw new InvalidArgumentError(
      `STAGE=N is expected, with a stage of ${stageNames.join(', ')}.`,
    );
  return [name, Number(count)];
}
