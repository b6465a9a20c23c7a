import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Packages, of this repository and others, that a module loads. */
async function packagesOf(module: string): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: [fileURLToPath(new URL(module, import.meta.url))],
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    metafile: true,
    write: false,
  });
  const imported = Object.values(metafile.inputs).flatMap(({ imports }) => imports);
  return imported
    .filter(({ path, external }) => external === true && !path.startsWith('node:'))
    .map(({ path }) => path);
}

test("a thread's end of the conversation loads neither NATS nor gRPC, the service's does", async () => {
  const ofThreads = await packagesOf('./index.ts');
  expect([...new Set(ofThreads)]).toEqual(['@emloc/checked']);
  expect(await packagesOf('../index.ts')).toEqual(
    expect.arrayContaining(['@emloc/nats', '@emloc/rpc', '@emloc/telemetry']),
  );
});
