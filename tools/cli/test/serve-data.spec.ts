import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writePictureModel } from '@emloc/pipeline/testing';
import { connect } from '@emloc/sdk';

import { useResidentEmloc } from './resident-emloc.js';
import type { Run } from './run-emloc.js';
import { startServing, type Serving } from './serving.js';

const examples = fileURLToPath(new URL('../../../examples', import.meta.url));

let folder: string;
/** What the deployment may see. */
let data: string;
let server: Serving;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-serve-data-'));
  data = join(folder, 'data');
  await mkdir(data);
  server = await startServing(folder, data);
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const resident = useResidentEmloc();
const emloc = (...args: readonly string[]): Promise<Run> => resident(args, { folder });

async function haveSameBytes(file: string, ...folders: readonly string[]): Promise<void> {
  const [first, ...others] = await Promise.all(folders.map((each) => readFile(join(each, file))));
  expect(others.map((other) => first?.equals(other))).toEqual(others.map(() => true));
}

describe('rows that show images', () => {
  const model = join(examples, 'images/model');
  let rows: string;
  let heldOut: string;

  beforeAll(async () => {
    const from = join(examples, 'images/data');
    const lines = (await readFile(join(from, 'train.jsonl'), 'utf8')).split('\n');
    await cp(join(from, 'train'), join(data, 'train'), { recursive: true });
    rows = join(data, 'rows.jsonl');
    await writeFile(rows, lines.slice(0, 12).join('\n'));
    heldOut = join(data, 'held-out.jsonl');
    await writeFile(heldOut, lines.slice(12, 14).join('\n'));
  });

  const shape = ['--steps', '2', '--batch', '2', '--calibration', '2', '--refine-steps', '1'];
  const same = ['--model', model, '--vram', '64MiB', '--date', '2026-01-31', ...shape];

  test('a job over services begins from an adapter, reads images that were sent with rows, and images beside rows, and gives the bytes and the log of one process', async () => {
    const [served, alone] = [join(folder, 'served'), join(folder, 'alone')];
    const earlier = join(data, 'earlier');
    const here = ['tune', '--data', rows, '--validation', heldOut, ...same];
    const device = ['--device', 'cpu', '--threads', '1'];
    // What is given twice is as it was given last.
    const short = ['--ratio', '1', '--steps', '1', '--refine-steps', '0', '--rank', '3'];
    expect(await emloc(...here, ...device, ...short, '--out', earlier)).toMatchObject({ code: 0 });
    const start = ['--init-adapter', earlier];
    const create = ['jobs', 'create', '--server', server.endpoint];
    const sources = ['--data', rows, '--validation', `server:${heldOut}`];
    const job = await emloc(...create, ...sources, ...same, ...start, '--download', served);
    expect(job).toMatchObject({ code: 0 });
    expect(await emloc(...here, ...device, ...start, '--out', alone)).toMatchObject({ code: 0 });
    await haveSameBytes('adapter_model.safetensors', served, alone);
    await haveSameBytes('adapter_config.json', served, alone);
    const record = JSON.parse(await readFile(join(served, 'emloc.json'), 'utf8')) as unknown;
    const begun = { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string };
    expect(record).toMatchObject({ lora: { rank: 3, start: begun } });
    const [over, in1] = await Promise.all([served, alone].map(loggedTraining));
    expect(over).toHaveLength(6);
    expect(over).toEqual(in1);
  });

  /** What a log has of steps and validations, without times and memory. */
  async function loggedTraining(out: string): Promise<readonly unknown[]> {
    const lines = (await readFile(join(out, 'log.jsonl'), 'utf8')).trimEnd().split('\n');
    return lines.flatMap((line) => {
      const { event, stage, level, step, loss } = JSON.parse(line) as Record<string, unknown>;
      return event === 'step' || event === 'validation' ? [[event, stage, level, step, loss]] : [];
    });
  }

  test('rows may not name images that lie elsewhere, here or on the server', async () => {
    const secret = join(folder, 'data', 'train', '000.png');
    const [line = ''] = (await readFile(rows, 'utf8')).split('\n');
    const uploaded = join(folder, 'uploaded.jsonl');
    await writeFile(uploaded, JSON.stringify({ ...JSON.parse(line), images: [secret] }));
    const create = ['jobs', 'create', '--server', server.endpoint, '--data', uploaded];
    const { code, stderr } = await emloc(...create, ...same, '--watch');
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/DATASET_INVALID_ROW: .*uploaded\.jsonl:1: images\[0\]: .*absolute/);
    // Who sends the rows alone has them refused by the server.
    await using client = connect({ address: server.endpoint });
    const rows32 = `${await readFile(uploaded, 'utf8')}\n`.repeat(32);
    const { name: dataset } = await client.uploadDataset(Buffer.from(rows32));
    const { name } = await client.createJob({ options: { model, data: { dataset } } });
    await expect(client.waitForJob(name)).rejects.toMatchObject({
      message: expect.stringMatching(/data\.jsonl:1: images\[0\]: .*DATASET_INVALID_ROW/),
    });
  });
});

describe('pictures', () => {
  let model: string;
  let pictures: string;

  beforeAll(async () => {
    [model, pictures] = [join(data, 'model'), join(data, 'subject')];
    await writePictureModel(model, { hasGuidance: false });
    const filter = (path: string): boolean => !/0[2-9]\.png$|\.txt$/.test(path);
    await cp(join(examples, 'flux/data/subject'), pictures, { recursive: true, filter });
  });

  const shown = ['--instance-prompt', 'a picture of sks toy', '--resolution', '32'];
  const shape = ['--steps', '2', '--grad-accum', '2', '--calibration', '2', '--refine-steps', '1'];
  const same = (): readonly string[] => ['--model', model, '--vram', '64MiB', ...shown, ...shape];

  /**
   * Pictures, one with a caption of its own, with those of their class within, and another file.
   */
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
    const [served, alone] = [join(folder, 'served-too'), join(folder, 'alone-too')];
    const { subject, ofClass } = await ownPictures();
    const own = ['--data', subject, '--class-data', ofClass, '--class-prompt', 'a toy'];
    const create = ['jobs', 'create', '--server', server.endpoint, ...own];
    const validation = ['--validation', `server:${pictures}`];
    const job = await emloc(...create, ...validation, ...same(), '--download', served);
    expect(job).toEqual({
      code: 0,
      stdout: expect.stringContaining(' pictures/s'),
      stderr: expect.any(String),
    });
    const device = ['--device', 'cpu', '--threads', '1', '--out', alone];
    const here = [...own, '--validation', pictures, ...same(), ...device];
    expect(await emloc('tune', ...here)).toMatchObject({ code: 0 });
    await haveSameBytes('pytorch_lora_weights.safetensors', served, alone);
  });

  test('pictures of a folder that the deployment may not see are refused', async () => {
    const create = ['jobs', 'create', '--server', server.endpoint, '--data', 'server:/etc'];
    const { code, stderr } = await emloc(...create, ...same(), '--watch');
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/data/);
  });
});
