import {
  createRegistry,
  toBinary,
  type DescFile,
  type MessageInitShape,
  type Registry,
} from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { reflectionV1, reflectionV1Alpha } from '@emloc/contracts';

import { codeNumber } from './codes.js';
import type { CallContext } from './context.js';
import { RpcError } from './errors.js';
import type { Handlers, Service } from './methods.js';

type Request = reflectionV1.ServerReflectionRequest;
type Response = Extract<
  MessageInitShape<typeof reflectionV1.ServerReflectionResponseSchema>,
  { $typeName?: never }
>;
type Answer = Response['messageResponse'];

/** What reflection can tell: services, and the files that define them and all that they import. */
interface Known {
  readonly services: readonly Service[];
  readonly files: readonly DescFile[];
  readonly registry: Registry;
}

/**
 * Server reflection. Written here because @grpc/reflection reads .proto files beside its code,
 * which a bundled program does not have.
 * @param services what the server offers, asked for at each call
 */
export function reflectionHandlers(
  services: () => readonly Service[],
): Handlers<typeof reflectionV1.ServerReflection, CallContext> {
  return { serverReflectionInfo: (requests) => answerAll(requests, services()) };
}

/** The same under its older name: the messages of both versions are alike but for their package. */
export function reflectionAlphaHandlers(
  services: () => readonly Service[],
): Handlers<typeof reflectionV1Alpha.ServerReflection, CallContext> {
  return reflectionHandlers(services) as unknown as Handlers<
    typeof reflectionV1Alpha.ServerReflection,
    CallContext
  >;
}

async function* answerAll(
  requests: AsyncIterable<Request>,
  services: readonly Service[],
): AsyncGenerator<Response> {
  const files = withDependencies(services.map(({ file }) => file));
  const known = { services, files, registry: createRegistry(...files) };
  for await (const request of requests) {
    yield {
      validHost: request.host,
      originalRequest: request,
      messageResponse: answerOrError(request, known),
    };
  }
}

function answerOrError({ messageRequest }: Request, known: Known): Answer {
  try {
    return answer(messageRequest, known);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return {
      case: 'errorResponse',
      value: { errorCode: codeNumber(error.code), errorMessage: error.message },
    };
  }
}

function answer(request: Request['messageRequest'], { services, files, registry }: Known): Answer {
  switch (request.case) {
    case 'listServices':
      return {
        case: 'listServicesResponse',
        value: { service: services.map(({ typeName }) => ({ name: typeName })) },
      };
    case 'fileByFilename':
      return filesResponse(
        files.find(({ proto }) => proto.name === request.value),
        request.value,
      );
    case 'fileContainingSymbol':
      return filesResponse(fileOfSymbol(registry, request.value), request.value);
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = request.value;
      const extended = registry.getMessage(containingType);
      const extension = extended && registry.getExtensionFor(extended, extensionNumber);
      return filesResponse(extension?.file, `extension ${extensionNumber} of ${containingType}`);
    }
    case 'allExtensionNumbersOfType':
      return extensionNumbers(registry, request.value);
    case undefined:
      throw new RpcError('INVALID_ARGUMENT', 'reflection: the request asks nothing');
  }
}

function extensionNumbers(registry: Registry, typeName: string): Answer {
  if (!registry.getMessage(typeName)) throw notFound(typeName);
  const numbers = [...registry].flatMap((desc) =>
    desc.kind === 'extension' && desc.extendee.typeName === typeName ? [desc.number] : [],
  );
  return {
    case: 'allExtensionNumbersResponse',
    value: { baseTypeName: typeName, extensionNumber: numbers },
  };
}

/**
 * The file of a message, enum, service or extension, or of the one that a field, enum value or
 * method belongs to.
 */
function fileOfSymbol(registry: Registry, symbol: string): DescFile | undefined {
  const parent = symbol.slice(0, Math.max(0, symbol.lastIndexOf('.')));
  const found = registry.get(symbol);
  if (found) return found.file;
  const owner = registry.get(parent);
  const memberNames = owner && membersOf(owner);
  return memberNames?.includes(symbol.slice(parent.length + 1)) ? owner?.file : undefined;
}

function membersOf(desc: NonNullable<ReturnType<Registry['get']>>): string[] {
  switch (desc.kind) {
    case 'message':
      return desc.members.map(({ name }) => name);
    case 'enum':
      return desc.values.map(({ name }) => name);
    case 'service':
      return desc.methods.map(({ name }) => name);
    case 'extension':
      return [];
  }
}

/** A file and everything that it imports, so that one answer is enough to use it. */
function filesResponse(file: DescFile | undefined, asked: string): Answer {
  if (!file) throw notFound(asked);
  const protos = withDependencies([file]).map(({ proto }) =>
    toBinary(FileDescriptorProtoSchema, proto),
  );
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto: protos } };
}

/** Files without repetition, each after those that it is asked with. */
function withDependencies(files: readonly DescFile[]): DescFile[] {
  const found = new Map<string, DescFile>();
  const visit = (file: DescFile): void => {
    if (found.has(file.name)) return;
    found.set(file.name, file);
    file.dependencies.forEach(visit);
  };
  files.forEach(visit);
  return [...found.values()];
}

function notFound(asked: string): RpcError {
  return new RpcError('NOT_FOUND', `reflection: ${asked} is not known here`);
}
