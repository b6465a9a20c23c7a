import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { build } from 'esbuild';

import { contentsOf, expectRefusal, inFolder } from '../../test/fixtures.js';
import {
  layOutAdapter,
  layOutUserFiles,
  replaceOutput,
  stateOf,
} from '../../test/output-states.js';
import type { ReplaceMode } from '../../test/replace-program.js';
import { holdPlace, settleOutput } from './held-place.js';
import { findPlace } from './place.js';
import { writeOutput } from './write-output.js';

const afterwards = [
  'adapter_config.json',
  'adapter_model.safetensors',
  'emloc.json',
  'more/deep/notes.txt',
  'notes.txt',
  'uncorrected/new.bin',
  'uncorrected/notes.txt',
];

async function write(out: string, fill: (temporary: string) => Promise<unknown>, options = {}) {
  return writeOutput(await findPlace(out), fill, options);
}

it('waits for no pipe in the place of a lock, and says which it is', () =>
  inFolder(async (folder) => {
    execFileSync('mkfifo', [join(folder, '.out.lock')]);
    await expectRefusal(
      holdPlace(join(folder, 'out')),
      'CHECKPOINT_OUTPUT_UNWRITABLE',
      /\.out\.lock is not a regular file/,
    );
  }));

describe('writeOutput', () => {
  it('waits for no pipe in the place of its note', () =>
    inFolder(async (folder) => {
      const out = join(folder, 'out');
      const fill = (temporary: string): Promise<void> =>
        writeFile(join(temporary, 'emloc.json'), '{"files":["emloc.json"]}');
      await write(out, fill);
      for (const note of ['.out.change.tmp', 'out/.emloc.change.tmp'])
        execFileSync('mkfifo', [join(folder, note)]);
      await write(out, fill, { overwrite: true });
      expect((await readdir(out)).filter((name) => !name.startsWith('.emloc'))).toEqual([
        'emloc.json',
      ]);
    }));

  it('creates parents, returns what fill returns and shows nothing before the end', () =>
    inFolder(async (folder) => {
      const target = join(folder, 'a', 'b');
      const result = await write(target, async (temporary) => {
        await mkdir(join(temporary, 'sub'));
        await writeFile(join(temporary, 'sub', 'x'), '1', { mode: 0o400 });
        expect((await readdir(join(folder, 'a'))).includes('b')).toBe(false);
        return 5;
      });
      expect(result).toBe(5);
      expect([...(await contentsOf(folder)).keys()]).toEqual(['a/b/sub/x']);
    }));

  it('takes an empty folder, also through a link, and refuses a full one without overwrite', () =>
    inFolder(async (folder) => {
      await mkdir(join(folder, 'empty'));
      await symlink(join(folder, 'empty'), join(folder, 'link'));
      const fill = (temporary: string) => writeFile(join(temporary, 'x'), '1');
      await write(join(folder, 'link'), fill);
      expect(await readFile(join(folder, 'empty', 'x'), 'utf8')).toBe('1');
      await expectRefusal(
        write(join(folder, 'link'), fill),
        'CHECKPOINT_OUTPUT_EXISTS',
        /link exists/,
      );
      expect((await readdir(folder)).sort()).toEqual(['empty', 'link']);
    }));

  it.each([false, true])(
    'leaves what someone else put there meanwhile (overwrite: %s)',
    (overwrite) =>
      inFolder(async (folder) => {
        const target = join(folder, 'out');
        const writing = write(
          target,
          async (temporary) => {
            await writeFile(join(temporary, 'x'), 'ours');
            await mkdir(target);
            await writeFile(join(target, 'x'), 'theirs');
          },
          { overwrite },
        );
        await expectRefusal(writing, 'CHECKPOINT_OUTPUT_EXISTS', /out/);
        expect(await readdir(folder)).toEqual(['out']);
        expect(await readFile(join(target, 'x'), 'utf8')).toBe('theirs');
      }),
  );

  it('leaves nothing behind when fill fails or the signal aborts', () =>
    inFolder(async (folder) => {
      const controller = new AbortController();
      await expect(
        write(join(folder, 'out'), async (temporary) => {
          await writeFile(join(temporary, 'x'), '');
          throw new Error('stop');
        }),
      ).rejects.toThrow('stop');
      await expect(
        write(join(folder, 'out'), async () => controller.abort(), { signal: controller.signal }),
      ).rejects.toHaveProperty('name', 'AbortError');
      expect(await readdir(folder)).toEqual([]);
    }));

  it.each(['beside', 'inside'] as const)(
    'replaces what was written before, keeps mode, links and files of a user (hidden %s)',
    (side) =>
      inFolder(async (folder) => {
        const out = join(folder, 'out');
        await layOutAdapter(out, 'old');
        await layOutUserFiles(out);
        await symlink('../model', join(out, 'base'));
        await chmod(out, 0o750);
        const place = { ...(await findPlace(out)), side };
        await writeOutput(place, (temporary) => layOutAdapter(temporary, 'new'), {
          overwrite: true,
        });
        expect(await stateOf(out)).toEqual({ adapter: ['new', 'new'], hasUserFiles: true });
        expect([...(await contentsOf(out)).keys()]).toEqual(afterwards);
        expect((await readdir(out)).sort()).toContain('base');
        expect((await stat(out)).mode & 0o777).toBe(0o750);
        expect(await readdir(folder)).toEqual(['out']);
      }),
  );

  it('brings back what someone puts into the old folder while it is replaced', () =>
    inFolder(async (folder) => {
      const out = join(folder, 'out');
      await layOutAdapter(out, 'old');
      const late = async (temporary: string) => {
        await layOutAdapter(temporary, 'new');
        await writeFile(join(out, 'late.txt'), 'late');
      };
      await write(out, late, { overwrite: true });
      expect(await readFile(join(out, 'late.txt'), 'utf8')).toBe('late');
      expect(await readdir(folder)).toEqual(['out']);
    }));
});

describe('a process that is killed while it replaces an adapter', () => {
  let home: string;
  let program: string;

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'emloc-replace-'));
    program = join(home, 'replace.mjs');
    await build({
      entryPoints: [join(process.cwd(), 'libs/checkpoint/test/replace-program.ts')],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      external: ['koffi'],
      logLevel: 'error',
    });
    // Packages are found from where the program lies.
    await symlink(join(process.cwd(), 'node_modules'), join(home, 'node_modules'));
    await layOutAdapter(join(home, 'before'), 'old');
    await layOutUserFiles(join(home, 'before'));
    chmodSync(join(home, 'before'), 0o755);
  });

  afterAll(() => rm(home, { recursive: true, force: true }));

  /** Runs it until the call; null where it came to its end before. */
  function run(mode: ReplaceMode, out: string, call: number, cwd: string): string | null {
    const { signal, status, stderr } = spawnSync(
      process.execPath,
      [program, mode, out, String(call)],
      { cwd, encoding: 'utf8' },
    );
    if (status !== 0 && signal === null) throw new Error(stderr);
    return signal;
  }

  /**
   * Runs it to its end, in a process that is gone afterwards; resolves to what lay on the disk
   * before each of its calls, in order: the folders that hold the output.
   */
  async function record(mode: ReplaceMode, out: string, cwd: string): Promise<readonly string[]> {
    const records = await mkdtemp(join(home, 'record-'));
    const args = [program, mode, out, '0', records];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const found = Array.from({ length: Number(stdout) }, (_, i) => join(records, String(i + 1)));
    expect((await readdir(records)).length).toBe(found.length);
    return found;
  }

  /** What the next start does, in this process. */
  async function startNext(mode: 'replace' | 'settle', out: string, cwd: string): Promise<void> {
    const from = process.cwd();
    process.chdir(cwd);
    try {
      await (mode === 'settle' ? settleOutput(out) : replaceOutput(out));
    } finally {
      process.chdir(from);
    }
  }

  /**
   * Lays out what is left where it is killed before each call in turn; `look` sees it. That is
   * recorded in one run; every ninth call is one of a process that is killed indeed. Returns the
   * number of calls.
   */
  async function killEverywhere(
    inWorkingFolder: boolean,
    look: (out: string, cwd: string, call: number) => Promise<void>,
  ): Promise<number> {
    const folder = join(home, 'at');
    const out = join(folder, 'out');
    const cwd = inWorkingFolder ? out : home;
    const layOut = async (): Promise<void> => {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder);
      await cp(join(home, 'before'), out, { recursive: true });
    };
    await layOut();
    const records = await record('replace', out, cwd);
    for (const [index, left] of records.entries()) {
      const call = index + 1;
      await layOut();
      if (call % 9 === 0) expect(run('replace', out, call, cwd)).toBe('SIGKILL');
      else {
        await rm(folder, { recursive: true });
        await rename(left, folder);
      }
      await look(out, cwd, call);
    }
    return records.length;
  }

  async function expectSettled(out: string): Promise<void> {
    const { adapter, hasUserFiles } = await stateOf(out);
    expect([
      ['old', 'old'],
      ['new', 'new'],
    ]).toContainEqual(adapter);
    expect(hasUserFiles).toBe(true);
    const [names, before] = [await contentsOf(out), await contentsOf(join(home, 'before'))];
    expect([...names.keys()]).toEqual(adapter[0] === 'new' ? afterwards : [...before.keys()]);
    expect(await readdir(join(out, '..'))).toEqual(['out']);
  }

  it('leaves the old adapter, or the new one, and nothing else where the disk becomes full', async () => {
    const folder = join(home, 'full');
    const out = join(folder, 'out');
    const fills = async (call: number): Promise<boolean> => {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder);
      await cp(join(home, 'before'), out, { recursive: true });
      const args = [program, 'fill', out, String(call)];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      // The second call is the first after the lock.
      if (status !== 0) expect({ call, stderr }).toMatchObject({ call: 1 });
      await expectSettled(out);
      return status !== 0 || stdout.startsWith('full');
    };
    let call = 1;
    while (await fills(call)) call += 1;
    expect(call).toBeGreaterThan(5);
  });

  it('leaves a whole adapter and all files of the user at every moment, and the next start finds both alone', async () => {
    const seen = new Set<string>();
    const calls = await killEverywhere(false, async (out, cwd, call) => {
      const { adapter, hasUserFiles } = await stateOf(out);
      expect([
        ['old', 'old'],
        ['new', 'new'],
      ]).toContainEqual(adapter);
      expect({ call, hasUserFiles }).toEqual({ call, hasUserFiles: true });
      seen.add(adapter.join());
      // The next starts are killed, too: one at any call, or several, each one call later.
      for (const left of call % 12 === 6 ? await record('settle', out, cwd) : [])
        expect(await stateOf(join(left, 'out'))).toEqual({ adapter, hasUserFiles: true });
      for (let at = 1; call % 12 === 0 && run('settle', out, at, cwd) !== null; at += 1)
        expect(await stateOf(out)).toEqual({ adapter, hasUserFiles: true });
      await startNext('replace', out, cwd);
      await expectSettled(out);
    });
    expect(calls).toBeGreaterThan(25);
    expect([...seen]).toEqual(['old,old', 'new,new']);
  });

  it('where no folder can be renamed leaves every file, which the next start makes whole', async () => {
    const seen = new Set<string>();
    const calls = await killEverywhere(true, async (out, cwd) => {
      const { adapter, hasUserFiles } = await stateOf(out);
      expect(adapter).not.toContain('nothing');
      expect(hasUserFiles).toBe(true);
      await startNext('settle', out, cwd);
      const settled = (await stateOf(out)).adapter;
      expect([
        ['old', 'old'],
        ['new', 'new'],
      ]).toContainEqual(settled);
      seen.add(settled.join());
      await startNext('replace', out, cwd);
      await expectSettled(out);
    });
    expect(calls).toBeGreaterThan(20);
    expect([...seen]).toEqual(['old,old', 'new,new']);
  });
});
