import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { runEmloc, type Run } from './run-emloc.js';
import { startServing, type Serving } from './serving.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const model = join(root, 'examples/flux/model');

let folder: string;
let pictures: string;
let server: Serving;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-serve-pictures-'));
  pictures = join(folder, 'data', 'subject');
  await cp(join(root, 'examples/flux/data/subject'), pictures, { recursive: true });
  server = await startServing(folder, join(folder, 'data'));
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const emloc = (...args: readonly string[]): Promise<Run> => runEmloc(args, { folder });

const shown = ['--instance-prompt', 'a picture of sks toy', '--resolution', '96'];
const shape = ['--steps', '2', '--calibration', '4', '--refine-steps', '1', '--rank', '2'];
const same = ['--model', model, '--vram', '64MiB', ...shown, ...shape];

/** Pictures, one with a caption of its own, with those of their class within, and another file. */
async function ownPictures(): Promise<{ readonly subject: string; readonly ofClass: string }> {
  const [subject, ofClass] = [join(folder, 'own'), join(folder, 'own', 'class')];
  await cp(pictures, subject, { recursive: true });
  const [first = '', second = ''] = (await readdir(pictures)).filter((name) =>
    name.endsWith('.png'),
  );
  await cp(join(pictures, first), join(ofClass, first));
  await cp(join(pictures, second), join(ofClass, second));
  await writeFile(join(subject, first.replace('.png', '.txt')), 'a sks toy by itself');
  await writeFile(join(subject, 'notes.md'), 'not sent');
  return { subject, ofClass };
}

test('a job over services learns uploaded pictures with the bytes of one process', async () => {
  const [served, alone] = [join(folder, 'served'), join(folder, 'alone')];
  const { subject, ofClass } = await ownPictures();
  const own = ['--data', subject, '--class-data', ofClass, '--class-prompt', 'a toy'];
  const create = ['jobs', 'create', '--server', server.endpoint, ...own];
  const validation = ['--validation', `server:${pictures}`];
  const job = await emloc(...create, ...validation, ...same, '--download', served);
  expect(job).toMatchObject({ code: 0, stdout: expect.stringContaining(' pictures/s') });
  const device = ['--device', 'cpu', '--threads', '1', '--out', alone];
  const here = [...own, '--validation', pictures, ...same, ...device];
  expect(await emloc('tune', ...here)).toMatchObject({ code: 0 });
  const [first, second] = await Promise.all(
    [served, alone].map((out) => readFile(join(out, 'pytorch_lora_weights.safetensors'))),
  );
  expect(first?.equals(second ?? Buffer.alloc(0))).toBe(true);
});

test('pictures of a folder that the deployment may not see are refused', async () => {
  const create = ['jobs', 'create', '--server', server.endpoint, '--data', 'server:/etc'];
  const { code, stderr } = await emloc(...create, ...same, '--watch');
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/data/);
});
