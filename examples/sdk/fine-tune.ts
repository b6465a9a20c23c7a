/**
 * Fine-tunes on a deployment: uploads rows, creates a job, shows what happens to it, writes the
 * adapter. In the repository root:
 *
 *     npx emloc serve in one terminal; then in another
 *     npx esbuild examples/sdk/fine-tune.ts --bundle --platform=node --target=node20
 *     --outfile=out/fine-tune.cjs
 *     node out/fine-tune.cjs
 *
 * Arguments: the model's folder as the server sees it, the file of rows on this machine, the folder
 * of the adapter. EMLOC_SERVER and EMLOC_TOKEN name another deployment. Interrupted, it leaves the
 * job running; JOB=jobs/ID goes on with it.
 */
import { resolve } from 'node:path';
import process from 'node:process';
import { connect, isEmlocError, type EmlocClient, type JobEvent } from '@emloc/sdk';

const args = process.argv.slice(2);
const model = args.at(0) ?? resolve('examples/models/demo-5m');
const data = args.at(1) ?? 'examples/data/train.jsonl';
const out = args.at(2) ?? 'out/sdk-adapter';

async function main(): Promise<void> {
  await using client = connect({
    address: process.env['EMLOC_SERVER'] ?? '127.0.0.1:7070',
    token: process.env['EMLOC_TOKEN'],
  });
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort());
  const options = {
    signal: interrupted.signal,
    onInterruption: ({ message }: Error) => console.log(`the connection broke: ${message}`),
  };
  const name = process.env['JOB'] ?? (await createJob(client, options));
  const { report } = await client.waitForJob(name, { ...options, onEvent: print });
  await client.downloadJob(name, out, { ...options, overwrite: true });
  console.log(
    `validation loss ${report?.validation.base} before, ${report?.validation.refined ?? report?.validation.uncorrected} after; adapter in ${out}`,
  );
}

async function createJob(client: EmlocClient, options: { signal: AbortSignal }): Promise<string> {
  const dataset = await client.uploadDataset(data, options);
  const { fits, neededBytes, budgetBytes } = await client.planJob(
    { ...jobOptions(), data: { dataset: dataset.name } },
    options,
  );
  if (!fits) throw new Error(`${neededBytes} bytes are needed, ${budgetBytes} are allowed`);
  const job = await client.createJob(
    { options: { ...jobOptions(), data: { dataset: dataset.name } }, displayName: 'example' },
    options,
  );
  console.log(`${job.name} created`);
  return job.name;
}

/** Those of `emloc tune`; what is not given takes the same defaults. */
function jobOptions() {
  return { model, vramBytes: 24 * 2 ** 20, steps: 40, learningRate: 3e-3, maxLength: 128 } as const;
}

function print(event: JobEvent): void {
  if (event.type === 'state') console.log(`job ${event.state}`);
  if (event.type === 'stage') console.log(`${event.stage} ${event.state}`);
  if (event.type === 'step')
    console.log(`step ${event.step} of ${event.steps}: loss ${event.loss.toFixed(3)}`);
}

main().catch((error: unknown) => {
  console.error(isEmlocError(error) ? `${error.code}: ${error.message}` : error);
  process.exitCode = 1;
});
