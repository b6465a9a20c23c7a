import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { healthV1, reflectionV1, reflectionV1Alpha } from '@emloc/contracts';

import { bearerTokens } from '../src/index.js';
import { closeAll, collect, startServer, thrownBy } from './fixtures.js';

afterEach(closeAll);

const { HealthCheckResponse_ServingStatus: ServingStatus } = healthV1;

describe('health', () => {
  it('tells liveness apart from readiness, without a token', async () => {
    const { channel, server } = await startServer({}, { authenticate: bearerTokens([]) });
    const health = channel().client(healthV1.Health);
    const statuses = async () =>
      Promise.all(
        ['', 'emloc.v1.JobService', 'liveness'].map(
          async (service) => (await health.check({ service })).status,
        ),
      );
    expect(await statuses()).toEqual([
      ServingStatus.NOT_SERVING,
      ServingStatus.NOT_SERVING,
      ServingStatus.SERVING,
    ]);
    server.health.setReady(true);
    expect(await statuses()).toEqual([
      ServingStatus.SERVING,
      ServingStatus.SERVING,
      ServingStatus.SERVING,
    ]);
  });

  it('does not know other services', async () => {
    const { channel } = await startServer({});
    expect(
      (await thrownBy(() => channel().client(healthV1.Health).check({ service: 'x' }))).code,
    ).toBe('NOT_FOUND');
  });

  it('streams every change and ends with the server', async () => {
    const { channel, server } = await startServer({});
    const seen: number[] = [];
    const watching = thrownBy(async () => {
      for await (const { status } of channel().client(healthV1.Health).watch({ service: '' })) {
        seen.push(status);
        if (seen.length === 1) server.health.setReady(true);
        if (seen.length === 2) void server.close(1000);
      }
    });
    expect(await watching).toMatchObject({ code: 'UNAVAILABLE', reason: 'SERVER_CLOSING' });
    expect(seen).toEqual([
      ServingStatus.NOT_SERVING,
      ServingStatus.SERVING,
      ServingStatus.NOT_SERVING,
    ]);
    expect(await server.close(0)).toEqual({ forced: false });
  });
});

describe.each([
  ['v1', reflectionV1],
  ['v1alpha', reflectionV1Alpha as unknown as typeof reflectionV1],
] as const)('reflection %s', (_, { ServerReflection }) => {
  async function ask(...messageRequests: reflectionV1.ServerReflectionRequest['messageRequest'][]) {
    const { channel } = await startServer({});
    const requests = (async function* () {
      for (const messageRequest of messageRequests) yield { messageRequest };
    })();
    return (await collect(channel().client(ServerReflection).serverReflectionInfo(requests))).map(
      ({ messageResponse }) => messageResponse,
    );
  }

  function filesOf(
    response: reflectionV1.ServerReflectionResponse['messageResponse'] | undefined,
  ): string[] {
    if (response?.case !== 'fileDescriptorResponse') throw new Error(`got ${response?.case}`);
    return response.value.fileDescriptorProto.map(
      (bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name,
    );
  }

  it('lists the services', async () => {
    const [response] = await ask({ case: 'listServices', value: '' });
    expect(
      response?.case === 'listServicesResponse' && response.value.service.map(({ name }) => name),
    ).toEqual([
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
      'emloc.v1.JobService',
      'emloc.v1.CalibratorService',
    ]);
  });

  it('gives the file of a symbol with everything that it imports', async () => {
    const symbols = [
      'emloc.v1.JobService',
      'emloc.v1.JobService.GetJob',
      'emloc.v1.Artifact.size_bytes',
      'emloc.v1.Artifact.Kind',
    ];
    for (const response of await ask(
      ...symbols.map((value) => ({ case: 'fileContainingSymbol' as const, value })),
    )) {
      const names = filesOf(response);
      expect(names[0]).toBe('emloc/v1/job_service.proto');
      expect(names).toEqual(
        expect.arrayContaining([
          'emloc/v1/job.proto',
          'google/rpc/status.proto',
          'google/protobuf/any.proto',
          'google/protobuf/descriptor.proto',
        ]),
      );
    }
  });

  it('gives files by name and by extension', async () => {
    const [byName, byExtension, numbers] = await ask(
      { case: 'fileByFilename', value: 'emloc/v1/stage.proto' },
      {
        case: 'fileContainingExtension',
        value: {
          $typeName: 'grpc.reflection.v1.ExtensionRequest',
          containingType: 'google.protobuf.FieldOptions',
          extensionNumber: 1052,
        },
      },
      { case: 'allExtensionNumbersOfType', value: 'google.protobuf.FieldOptions' },
    );
    expect(filesOf(byName)[0]).toBe('emloc/v1/stage.proto');
    expect(filesOf(byExtension)[0]).toBe('google/api/field_behavior.proto');
    expect(numbers).toMatchObject({
      case: 'allExtensionNumbersResponse',
      value: { extensionNumber: [1052] },
    });
  });

  it('answers what it does not know with an error and goes on', async () => {
    const responses = await ask(
      { case: 'fileContainingSymbol', value: 'emloc.v1.Nothing' },
      { case: 'fileContainingSymbol', value: '' },
      { case: 'fileContainingSymbol', value: 'emloc.v1.Job.nothing' },
      { case: 'fileByFilename', value: '../../etc/passwd' },
      { case: 'listServices', value: '' },
    );
    expect(responses.map((response) => response.case)).toEqual([
      ...Array<string>(4).fill('errorResponse'),
      'listServicesResponse',
    ]);
    expect(responses[0]).toMatchObject({ value: { errorCode: 5 } });
  });
});
