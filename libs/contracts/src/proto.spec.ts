import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const buf = createRequire(import.meta.url).resolve('@bufbuild/buf/bin/buf');
const baseline = join(root, 'libs/contracts/baseline.binpb');

function runBuf(args: readonly string[], cwd = root): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [buf, ...args], {
    cwd,
    encoding: 'utf8',
  });
  return { status, output: stdout + stderr };
}

function filesUnder(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return new Map(
    files.map(({ parentPath, name }) => [
      relative(folder, join(parentPath, name)),
      readFileSync(join(parentPath, name), 'utf8'),
    ]),
  );
}

describe('proto/', () => {
  let scratch: string;

  beforeEach(() => {
    scratch = mkdtempSync(join(tmpdir(), 'emloc-proto-'));
  });

  afterEach(() => rmSync(scratch, { recursive: true, force: true }));

  it('is formatted and passes buf lint', () => {
    expect(runBuf(['format', '--diff', '--exit-code'])).toEqual({ status: 0, output: '' });
    expect(runBuf(['lint'])).toEqual({ status: 0, output: '' });
  });

  it('generates what is committed', () => {
    expect(runBuf(['generate', '--output', scratch])).toEqual({ status: 0, output: '' });
    const committed = filesUnder(fileURLToPath(new URL('./generated', import.meta.url)));
    expect(committed.size).toBeGreaterThan(10);
    expect(filesUnder(join(scratch, 'libs/contracts/src/generated'))).toEqual(committed);
  });

  it('breaks nothing that was published', () => {
    expect(runBuf(['breaking', '--against', baseline])).toEqual({ status: 0, output: '' });
  });

  it('would notice a field that is taken away', () => {
    cpSync(join(root, 'proto'), join(scratch, 'proto'), { recursive: true });
    cpSync(join(root, 'buf.yaml'), join(scratch, 'buf.yaml'));
    const file = join(scratch, 'proto/emloc/v1/job.proto');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace(/^ {2}int32 retries = 13.*$/m, ''));
    const { status, output } = runBuf(['breaking', '--against', baseline], scratch);
    expect(status).not.toBe(0);
    expect(output).toContain('retries');
  });
});
